package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"cel.dev/expr"
	"cel.dev/expr/conformance/test"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/encoding/prototext"
)

// A case of the specification: what to evaluate with which variables, and what comes out.
type simple struct {
	Name  string            `json:"name"`
	Expr  string            `json:"expr"`
	Vars  map[string]string `json:"vars,omitempty"`
	Types map[string]string `json:"types,omitempty"`
	Value string            `json:"value,omitempty"`
	Fails bool              `json:"fails,omitempty"`
	// What the static check finds.
	Type string `json:"type,omitempty"`
	// The specification runs it without the static check.
	Unchecked bool `json:"unchecked,omitempty"`
	// Why the case is none for us, if it is none.
	Beside string `json:"beside,omitempty"`
}

const (
	messages = "messages of protobuf"
	host     = "functions that the host program brings"
)

func conformance(out *bufio.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	// Put beside the program when it was built.
	files, err := filepath.Glob(filepath.Join(filepath.Dir(program), "testdata", "*.textproto"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("there are no cases in the folder testdata beside %s", program)
	}
	sort.Strings(files)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var file test.SimpleTestFile
		if err := prototext.Unmarshal(text, &file); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, section := range file.Section {
			for _, one := range section.Test {
				made := convert(one)
				made.Name = file.Name + "/" + section.Name + "/" + one.Name
				if err := encoder.Encode(made); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func convert(one *test.SimpleTest) simple {
	made := simple{Expr: one.Expr, Vars: map[string]string{}, Types: map[string]string{}, Unchecked: one.DisableCheck}
	if one.DisableMacros {
		made.Beside = "macros turned off"
	}
	for _, declared := range one.TypeEnv {
		ident := declared.GetIdent()
		if ident == nil {
			made.Beside = host
			continue
		}
		made.Types[declared.Name] = cel.FormatCELType(typeOf(ident.Type))
		if isMessage(ident.Type) {
			made.Beside = messages
		}
	}
	if namesMessages(one) {
		made.Beside = messages
	}
	for name, bound := range one.Bindings {
		value, err := plain(bound.GetValue())
		if err != nil {
			made.Beside = messages
			continue
		}
		made.Vars[name] = source(value)
	}
	switch wanted := one.ResultMatcher.(type) {
	case nil:
		made.Value = "true"
	case *test.SimpleTest_Value:
		made.expect(wanted.Value)
	case *test.SimpleTest_TypedResult:
		if wanted.TypedResult.Result != nil {
			made.expect(wanted.TypedResult.Result)
		}
		if isMessage(wanted.TypedResult.DeducedType) {
			made.Beside = messages
		}
		made.Type = cel.FormatCELType(typeOf(wanted.TypedResult.DeducedType))
	case *test.SimpleTest_EvalError, *test.SimpleTest_AnyEvalErrors:
		made.Fails = true
	default:
		made.Beside = "an unknown value"
	}
	return made
}

func (made *simple) expect(value *expr.Value) {
	wanted, err := plain(value)
	if err != nil {
		made.Beside = messages
		return
	}
	made.Value = show(wanted)
}

// Whether the expression makes a message, or names one or an enum.
func namesMessages(one *test.SimpleTest) bool {
	env, err := cel.NewEnv(
		cel.EnableIdentifierEscapeSyntax(),
		cel.OptionalTypes(),
		cel.ClearMacros(),
	)
	check(err)
	parsed, issues := env.Parse(one.Expr)
	if issues.Err() != nil {
		return false
	}
	found := false
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(node ast.Expr) {
		found = found || node.Kind() == ast.StructKind || isProtobuf(one.Container, dotted(node))
	}))
	return found
}

// The name that a chain of selections spells; empty if it is none.
func dotted(node ast.Expr) string {
	switch node.Kind() {
	case ast.IdentKind:
		return strings.TrimPrefix(node.AsIdent(), ".")
	case ast.SelectKind:
		if before := dotted(node.AsSelect().Operand()); before != "" {
			return before + "." + node.AsSelect().FieldName()
		}
	}
	return ""
}

func isProtobuf(container, name string) bool {
	for name != "" {
		full := name
		if container != "" {
			full = container + "." + name
		}
		if made, found := registry().FindStructType(full); found && isMessageType(made) {
			return true
		}
		if value, found := registry().FindIdent(full); found && value.Type() == types.IntType {
			return true
		}
		if container == "" {
			return false
		}
		container = container[:max(strings.LastIndexByte(container, '.'), 0)]
	}
	return false
}

func isMessage(declared *expr.Type) bool {
	return isMessageType(typeOf(declared))
}

// A message or a wrapper of one, also within other types.
func isMessageType(made *cel.Type) bool {
	if made.Kind() == types.TypeKind && len(made.Parameters()) == 1 {
		return isMessageType(made.Parameters()[0])
	}
	for _, inner := range made.Parameters() {
		if isMessageType(inner) {
			return true
		}
	}
	return made.Kind() == types.StructKind || made.IsAssignableType(cel.NullType) && made.Kind() != types.NullTypeKind &&
		made.Kind() != types.DynKind && made.Kind() != types.AnyKind && made.Kind() != types.OpaqueKind &&
		made.Kind() != types.TimestampKind && made.Kind() != types.DurationKind
}

func typeOf(declared *expr.Type) *cel.Type {
	made, err := types.ProtoAsType(declared)
	if err != nil {
		return cel.DynType
	}
	return made
}

// The value, unless it is a message.
func plain(value *expr.Value) (made ref.Val, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("not a plain value")
		}
	}()
	if _, is := value.Kind.(*expr.Value_EnumValue); is {
		return nil, fmt.Errorf("an enum")
	}
	made, err = cel.ProtoAsValue(registry(), value)
	if err == nil && strings.Contains(show(made), "foreign") {
		return nil, fmt.Errorf("a message")
	}
	return made, err
}

// An expression that makes the value.
func source(value ref.Val) string {
	switch value := value.(type) {
	case types.Double:
		return fmt.Sprintf("double(%q)", strconv.FormatFloat(float64(value), 'g', -1, 64))
	case types.String:
		return fmt.Sprintf("string(b'%s')", octets([]byte(value)))
	case types.Bytes:
		return fmt.Sprintf("b'%s'", octets(value))
	case types.Timestamp:
		return fmt.Sprintf("timestamp(%q)", value.Time.UTC().Format(time.RFC3339Nano))
	case types.Duration:
		return fmt.Sprintf("duration(%q)", value.Duration)
	case *types.Type:
		return value.TypeName()
	case traits.Lister:
		var parts []string
		for it := value.Iterator(); it.HasNext() == types.True; {
			parts = append(parts, "dyn("+source(it.Next())+")")
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case traits.Mapper:
		var parts []string
		for it := value.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			parts = append(parts, "dyn("+source(key)+"): dyn("+source(value.Get(key))+")")
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return show(value)
}

func octets(value []byte) string {
	var out strings.Builder
	for _, octet := range value {
		fmt.Fprintf(&out, "\\x%02x", octet)
	}
	return out.String()
}
