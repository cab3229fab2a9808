//! Expressions made up from a seed: mostly well typed, now and then not, over claims of all kinds.

/// Makes expressions.
pub(crate) struct Generator {
    state: u64,
    names: Vec<(String, Kind)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    Str,
    Bytes,
    Time,
    Span,
    Ints,
    Strs,
    Map,
    Opt,
    Ip,
    Cidr,
    Url,
    Quantity,
    Semver,
    Dyn,
}

use Kind::{
    Bool, Bytes, Cidr, Double, Dyn, Int, Ints, Ip, Map, Opt, Quantity, Semver, Span, Str, Strs, Time, Uint,
    Url,
};

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, names: Vec::new() }
    }

    pub(crate) fn expression(&mut self) -> String {
        let kind = ALL[self.below(ALL.len())];
        self.names.clear();
        self.of(kind, 4)
    }

    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % end as u64).unwrap()
    }

    fn of(&mut self, kind: Kind, depth: usize) -> String {
        // Now and then something of another kind, or of none.
        let kind = match self.below(60) {
            0 => ALL[self.below(ALL.len())],
            1 | 2 => Dyn,
            _ => kind,
        };
        let named = self
            .names
            .iter()
            .filter(|(_, known)| *known == kind)
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>();
        if !named.is_empty() && self.below(3) > 0 {
            return named[self.below(named.len())].clone();
        }
        if depth == 0 || self.below(6) == 0 {
            let leaves = leaves(kind);
            return leaves[self.below(leaves.len())].to_owned();
        }
        let templates = TEMPLATES.iter().filter(|(made, _)| *made == kind).collect::<Vec<_>>();
        if templates.is_empty() {
            let leaves = leaves(kind);
            return leaves[self.below(leaves.len())].to_owned();
        }
        let (_, template) = templates[self.below(templates.len())];
        self.filled(template, depth - 1)
    }

    /// `$i` is an int, `$s` a string and so on; `@i` names an item of that kind in what follows, up to `;`.
    fn filled(&mut self, template: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut chars = template.chars();
        let around = self.names.len();
        while let Some(c) = chars.next() {
            match c {
                '$' if chars.as_str().starts_with('$') => out.extend(chars.next()),
                '$' => out.push_str(&self.of(kind_of(chars.next().unwrap()), depth)),
                '@' => {
                    let name = format!("x{}", self.names.len());
                    out.push_str(&name);
                    self.names.push((name, kind_of(chars.next().unwrap())));
                }
                ';' => self.names.truncate(around),
                c => out.push(c),
            }
        }
        self.names.truncate(around);
        out
    }
}

fn kind_of(letter: char) -> Kind {
    match letter {
        'b' => Bool,
        'i' => Int,
        'u' => Uint,
        'd' => Double,
        's' => Str,
        'y' => Bytes,
        't' => Time,
        'p' => Span,
        'I' => Ints,
        'S' => Strs,
        'm' => Map,
        'o' => Opt,
        'A' => Ip,
        'C' => Cidr,
        'U' => Url,
        'Q' => Quantity,
        'V' => Semver,
        '?' => Dyn,
        other => panic!("{other}"),
    }
}

fn leaves(kind: Kind) -> &'static [&'static str] {
    match kind {
        Bool => &["true", "false", "claims.flag == true", "has(claims.name)", "has(claims.gone)"],
        Int => &["0", "1", "2", "-1", "7", "9223372036854775807", "-9223372036854775808", "63"],
        Uint => &["0u", "1u", "18446744073709551615u", "3u"],
        Double => &["0.0", "1.5", "-2.25", "1e300", "3.0", "0.1", "(0.0/0.0)", "1e-7"],
        Str => &[
            "''",
            "'a'",
            "'hello world'",
            "'Grüße, 世界'",
            "'1'",
            "'10.0.0.1'",
            "'a,b,,c'",
            "'%s-%d'",
            "'v1.2'",
            "'1.5Gi'",
            "'https://a.b:8080/c?d=e&d=f'",
            "'2024-02-29T12:34:56Z'",
            "'90m'",
            "'+02:00'",
            "'a-b.c'",
        ],
        Bytes => &["b''", "b'abc'", r"b'\xff\x00'"],
        Time => &[
            "timestamp('2024-02-29T12:34:56.789Z')",
            "timestamp(0)",
            "timestamp('1969-12-31T23:59:59+01:00')",
            "timestamp('9999-12-31T23:59:59Z')",
        ],
        Span => &["duration('90m')", "duration('-1.5s')", "duration('0s')", "duration('1h2m3.004s')"],
        Ints => &["[1, 2, 3]", "[3, 1, 2, 1]", "[0]", "claims.numbers", "[1, 2, 3].filter(q, q > 5)"],
        Strs => &["['a', 'b', 'a']", "['x']", "claims.groups", "'a,b'.split(',')"],
        Map => &["{'a': 1, 'b': 2}", "{'k': 0}", "claims.object"],
        Opt => &["optional.of(1)", "optional.none()", "claims.?one", "[1][?0]", "claims.?gone"],
        Ip => &[
            "ip('10.0.0.1')",
            "ip('::1')",
            "ip('fe80::1')",
            "ip('192.168.1.255')",
            "ip('224.0.0.1')",
            "ip('255.255.255.255')",
        ],
        Cidr => &["cidr('10.0.0.0/8')", "cidr('10.1.2.3/16')", "cidr('fd00::/8')", "cidr('0.0.0.0/0')"],
        Url => &[
            "url('https://user:pw@example.com:443/a%20b/c?x=1&y=2&x=3')",
            "url('/only/path')",
            "url('http://[::1]:80/')",
        ],
        Quantity => {
            &["quantity('1')", "quantity('1.5Gi')", "quantity('-200m')", "quantity('10k')", "quantity('3e2')"]
        }
        Semver => {
            &["semver('1.2.3')", "semver('1.2.3-alpha.1')", "semver('v1.2', true)", "semver('0.0.1+build')"]
        }
        Dyn => &[
            "claims.one",
            "claims.name",
            "claims.flag",
            "claims.half",
            "claims.groups",
            "claims.numbers",
            "claims.object",
            "claims.nothing",
            "claims.gone",
            "claims.mixed",
            "claims.object.a",
            "claims['name']",
            "dyn(1)",
            "dyn('a')",
        ],
    }
}

const ALL: [Kind; 18] = [
    Bool, Int, Uint, Double, Str, Bytes, Time, Span, Ints, Strs, Map, Opt, Ip, Cidr, Url, Quantity, Semver,
    Dyn,
];

/// What claims the expressions see.
pub(crate) const CLAIM_SETS: [&str; 4] = [
    r#"{"one":1,"name":"jane","flag":true,"half":0.5,"groups":["dev","ops"],"numbers":[1,2,3],"object":{"a":1,"b":2},"nothing":null,"mixed":["a",1,null]}"#,
    r#"{"one":-5,"name":"","flag":false,"half":2.0,"groups":[],"numbers":[],"object":{},"nothing":null,"mixed":[]}"#,
    r#"{"one":"1","name":7,"flag":"true","half":3,"groups":"dev","numbers":[1.5,"x"],"object":[1],"nothing":0,"mixed":{"a":true}}"#,
    r#"{"name":"Grüße","groups":["a","a","b"],"numbers":[9223372036854775807,1],"object":{"a":{"b":[1]}}}"#,
];

const TEMPLATES: &[(Kind, &str)] = &[
    (Bool, "($b && $b)"),
    (Bool, "($b || $b)"),
    (Bool, "!($b)"),
    (Bool, "($i == $i)"),
    (Bool, "($s == $s)"),
    (Bool, "($? == $?)"),
    (Bool, "($? == $s)"),
    (Bool, "($? != $i)"),
    (Bool, "($i < $i)"),
    (Bool, "($d <= $i)"),
    (Bool, "($u > $d)"),
    (Bool, "($s >= $s)"),
    (Bool, "($t < $t)"),
    (Bool, "($p > $p)"),
    (Bool, "($i in $I)"),
    (Bool, "($s in $S)"),
    (Bool, "($s in $m)"),
    (Bool, "($? in $?)"),
    (Bool, "$s.contains($s)"),
    (Bool, "$s.startsWith($s)"),
    (Bool, "$s.endsWith($s)"),
    (Bool, "$s.matches('^[a-z]+$$')"),
    (Bool, "$s.matches($s)"),
    (Bool, "$I.all(@i, $b;)"),
    (Bool, "$I.exists(@i, $b;)"),
    (Bool, "$S.exists_one(@s, $b;)"),
    (Bool, "$m.all(@s, $b;)"),
    (Bool, "$S.exists(@i, @s, $b;)"),
    (Bool, "$?.exists(@?, $b;)"),
    (Bool, "$I.isSorted()"),
    (Bool, "$o.hasValue()"),
    (Bool, "sets.contains($I, $I)"),
    (Bool, "sets.equivalent($S, $S)"),
    (Bool, "sets.intersects($I, $I)"),
    (Bool, "bool($s)"),
    (Bool, "isIP($s)"),
    (Bool, "isCIDR($s)"),
    (Bool, "isURL($s)"),
    (Bool, "isQuantity($s)"),
    (Bool, "isSemver($s)"),
    (Bool, "isSemver($s, true)"),
    (Bool, "$A.isLoopback()"),
    (Bool, "$A.isGlobalUnicast()"),
    (Bool, "$A.isLinkLocalUnicast()"),
    (Bool, "$A.isLinkLocalMulticast()"),
    (Bool, "$A.isUnspecified()"),
    (Bool, "ip.isCanonical($s)"),
    (Bool, "$C.containsIP($A)"),
    (Bool, "$C.containsIP($s)"),
    (Bool, "$C.containsCIDR($C)"),
    (Bool, "$Q.isGreaterThan($Q)"),
    (Bool, "$Q.isInteger()"),
    (Bool, "$V.isLessThan($V)"),
    (Bool, "($Q == $Q)"),
    (Bool, "($V == $V)"),
    (Bool, "($A == $A)"),
    (Bool, "($C == $C)"),
    (Bool, "($U == $U)"),
    (Bool, "($o == $o)"),
    (Bool, "($I == $I)"),
    (Bool, "($m == $m)"),
    (Bool, "(type($?) == string)"),
    (Bool, "($b ? $b : $b)"),
    (Bool, "math.isNaN($d)"),
    (Bool, "format.dns1123Label().validate($s).hasValue()"),
    (Bool, "format.qualifiedName().validate($s).hasValue()"),
    (Bool, "format.uri().validate($s).hasValue()"),
    (Bool, "format.date().validate($s).hasValue()"),
    (Bool, "format.dns1123Subdomain().validate($s).hasValue()"),
    (Int, "($i + $i)"),
    (Int, "($i - $i)"),
    (Int, "($i * $i)"),
    (Int, "($i / $i)"),
    (Int, "($i % $i)"),
    (Int, "-($i)"),
    (Int, "size($s)"),
    (Int, "size($I)"),
    (Int, "$S.size()"),
    (Int, "size($y)"),
    (Int, "size($m)"),
    (Int, "int($s)"),
    (Int, "int($d)"),
    (Int, "int($u)"),
    (Int, "int($t)"),
    (Int, "$t.getFullYear()"),
    (Int, "$t.getMonth()"),
    (Int, "$t.getDayOfWeek()"),
    (Int, "$t.getDayOfYear()"),
    (Int, "$t.getDate()"),
    (Int, "$t.getDayOfMonth()"),
    (Int, "$t.getHours('+02:00')"),
    (Int, "$t.getHours('America/New_York')"),
    (Int, "$t.getMinutes()"),
    (Int, "$t.getSeconds()"),
    (Int, "$t.getMilliseconds()"),
    (Int, "$p.getHours()"),
    (Int, "$p.getMinutes()"),
    (Int, "$p.getSeconds()"),
    (Int, "$p.getMilliseconds()"),
    (Int, "$s.indexOf($s)"),
    (Int, "$s.lastIndexOf($s)"),
    (Int, "$s.indexOf($s, $i)"),
    (Int, "$I.indexOf($i)"),
    (Int, "$S.lastIndexOf($s)"),
    (Int, "$I.sum()"),
    (Int, "$I.max()"),
    (Int, "$I.min()"),
    (Int, "$I[$i]"),
    (Int, "$m[$s]"),
    (Int, "$o.orValue($i)"),
    (Int, "$o.value()"),
    (Int, "$A.family()"),
    (Int, "$C.prefixLength()"),
    (Int, "$Q.asInteger()"),
    (Int, "sign($Q)"),
    (Int, "$Q.compareTo($Q)"),
    (Int, "$V.major()"),
    (Int, "$V.compareTo($V)"),
    (Int, "($b ? $i : $i)"),
    (Int, "math.abs($i)"),
    (Int, "math.bitAnd($i, $i)"),
    (Int, "math.bitShiftRight($i, $i)"),
    (Int, "math.sign($i)"),
    (Int, "cel.bind(@i, $i, ($i + $i);)"),
    (Uint, "($u + $u)"),
    (Uint, "($u * $u)"),
    (Uint, "($u % $u)"),
    (Uint, "uint($i)"),
    (Uint, "uint($s)"),
    (Uint, "uint($d)"),
    (Double, "($d + $d)"),
    (Double, "($d / $d)"),
    (Double, "double($i)"),
    (Double, "double($s)"),
    (Double, "-($d)"),
    (Double, "$Q.asApproximateFloat()"),
    (Double, "math.round($d)"),
    (Double, "math.floor($d)"),
    (Double, "[$d, $d].max()"),
    (Double, "math.greatest($d, $d)"),
    (Double, "math.sqrt($d)"),
    (Str, "($s + $s)"),
    (Str, "string($i)"),
    (Str, "string($d)"),
    (Str, "string($u)"),
    (Str, "string($b)"),
    (Str, "string($t)"),
    (Str, "string($p)"),
    (Str, "string($y)"),
    (Str, "$s.lowerAscii()"),
    (Str, "$s.upperAscii()"),
    (Str, "$s.trim()"),
    (Str, "$s.charAt($i)"),
    (Str, "$s.substring($i)"),
    (Str, "$s.substring($i, $i)"),
    (Str, "$s.replace($s, $s)"),
    (Str, "$s.replace($s, $s, $i)"),
    (Str, "$S.join($s)"),
    (Str, "$S.join()"),
    (Str, "$s.find('[a-z]+')"),
    (Str, "$s.find($s)"),
    (Str, "strings.quote($s)"),
    (Str, "'%s and %s'.format([$?, $i])"),
    (Str, "'%d|%x'.format([$i, $i])"),
    (Str, "'%s'.format([$I])"),
    (Str, "$U.getHost()"),
    (Str, "$U.getHostname()"),
    (Str, "$U.getPort()"),
    (Str, "$U.getScheme()"),
    (Str, "$U.getEscapedPath()"),
    (Str, "string($A)"),
    (Str, "string($C)"),
    (Str, "($b ? $s : $s)"),
    (Str, "$S[$i]"),
    (Str, "$S.first().orValue($s)"),
    (Str, "claims.?name.orValue($s)"),
    (Str, "base64.encode($y)"),
    (Bytes, "($y + $y)"),
    (Bytes, "bytes($s)"),
    (Time, "($t + $p)"),
    (Time, "($t - $p)"),
    (Time, "timestamp($s)"),
    (Time, "timestamp($i)"),
    (Span, "($t - $t)"),
    (Span, "($p + $p)"),
    (Span, "($p - $p)"),
    (Span, "duration($s)"),
    (Ints, "[$i, $i]"),
    (Ints, "($I + $I)"),
    (Ints, "$I.map(@i, $i;)"),
    (Ints, "$I.filter(@i, $b;)"),
    (Ints, "$I.map(@i, $b, $i;)"),
    (Ints, "$S.map(@s, $i;)"),
    (Ints, "$I.slice($i, $i)"),
    (Ints, "$I.sort()"),
    (Ints, "$I.reverse()"),
    (Ints, "$I.distinct()"),
    (Ints, "[$I, $I].flatten()"),
    (Ints, "[?$o, $i]"),
    (Ints, "lists.range(5)"),
    (Ints, "$I.transformList(@i, @i, $i;)"),
    (Ints, "$I.sortBy(@i, $i;)"),
    (Ints, "$S.transformList(@i, @s, $b, $i;)"),
    (Strs, "[$s, $s]"),
    (Strs, "$s.split($s)"),
    (Strs, "$s.split($s, $i)"),
    (Strs, "$S.filter(@s, $b;)"),
    (Strs, "$S.map(@s, $s;)"),
    (Strs, "$m.map(@s, $s;).sort()"),
    (Strs, "$s.findAll('[a-z]')"),
    (Strs, "$s.findAll('.', $i)"),
    (Strs, "$S.sort()"),
    (Strs, "$S.distinct()"),
    (Strs, "$U.getQuery()[$s]"),
    (Map, "{$s: $i}"),
    (Map, "{$s: $i, $s: $i}"),
    (Map, "$m.transformMap(@s, @i, $i;)"),
    (Map, "$S.transformMapEntry(@i, @s, {$s: $i};)"),
    (Map, "{?$s: $o}"),
    (Map, "$m.transformMap(@s, @i, $b, $i;)"),
    (Opt, "optional.of($i)"),
    (Opt, "optional.ofNonZeroValue($i)"),
    (Opt, "$o.or($o)"),
    (Opt, "$o.optMap(@i, $i;)"),
    (Opt, "$o.optFlatMap(@i, $o;)"),
    (Opt, "$I[?$i]"),
    (Opt, "$m[?$s]"),
    (Opt, "$m.?a"),
    (Opt, "$I.last()"),
    (Ip, "ip($s)"),
    (Ip, "$C.ip()"),
    (Cidr, "cidr($s)"),
    (Cidr, "$C.masked()"),
    (Url, "url($s)"),
    (Quantity, "quantity($s)"),
    (Quantity, "$Q.add($Q)"),
    (Quantity, "$Q.sub($i)"),
    (Semver, "semver($s)"),
    (Semver, "semver($s, true)"),
    (Dyn, "dyn($i)"),
    (Dyn, "dyn($s)"),
    (Dyn, "claims[$s]"),
    (Dyn, "$?.map(@?, $?;)"),
    (Dyn, "($? + $?)"),
    (Dyn, "$?[$i]"),
    (Dyn, "$?.a"),
    (Dyn, "($b ? $? : $i)"),
    (Dyn, "[$?, $?]"),
    (Dyn, "type($?)"),
];
