// A peer for the tests of `expr`: compiles and runs expressions in the CEL environment of the Kubernetes API server.
//
// Without arguments it answers JSON lines {expr, claims} with {refused} or {type, value, error, cost}. With
// "conformance" it writes the simple cases of the CEL specification as JSON lines, and with "speed SECONDS" how many
// evaluations it does per second.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
)

type question struct {
	Expr   string          `json:"expr"`
	Claims json.RawMessage `json:"claims"`
}

type answer struct {
	Refused string `json:"refused,omitempty"`
	Type    string `json:"type,omitempty"`
	Value   string `json:"value,omitempty"`
	Error   string `json:"error,omitempty"`
	Cost    uint64 `json:"cost"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if len(os.Args) > 1 && os.Args[1] == "conformance" {
		check(conformance(out))
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	if len(os.Args) > 2 && os.Args[1] == "speed" {
		check(speed(in, out))
		return
	}
	env := kubernetes(len(os.Args) > 1 && os.Args[1] == "whole")
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for in.Scan() {
		var asked question
		check(json.Unmarshal(in.Bytes(), &asked))
		check(encoder.Encode(run(env, asked)))
	}
	check(in.Err())
}

// The environment of 1.36, with claims. The whole language has what Kubernetes leaves out besides.
func kubernetes(whole bool) *cel.Env {
	set := environment.MustBaseEnvSet(version.MajorMinor(1, 36))
	options := []cel.EnvOption{cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType))}
	if whole {
		options = append(options, ext.Math(), ext.Bindings(), ext.Encoders())
	}
	set, err := set.Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions:        options,
		ProgramOptions:    []cel.ProgramOption{cel.CostTracking(&library.CostEstimator{})},
	})
	check(err)
	env, err := set.Env(environment.NewExpressions)
	check(err)
	return env
}

func run(env *cel.Env, asked question) (said answer) {
	defer func() {
		if caught := recover(); caught != nil {
			said = answer{Error: fmt.Sprint("panic: ", caught)}
		}
	}()
	ast, issues := env.Compile(asked.Expr)
	if issues != nil && issues.Err() != nil {
		return answer{Refused: issues.Err().Error()}
	}
	said.Type = ast.OutputType().String()
	program, err := env.Program(ast, cel.CostLimit(1_000_000))
	if err != nil {
		// What constants come to is tried now; some of it fails.
		said.Error = err.Error()
		return said
	}
	var claims any
	decoder := json.NewDecoder(strings.NewReader(string(asked.Claims)))
	decoder.UseNumber()
	check(decoder.Decode(&claims))
	value, details, err := program.Eval(map[string]any{"claims": numbers(claims)})
	if details != nil && details.ActualCost() != nil {
		said.Cost = *details.ActualCost()
	}
	if err != nil {
		said.Error = err.Error()
		return said
	}
	said.Value = show(value)
	return said
}

// Integers become int, as Kubernetes reads claims.
func numbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := strconv.ParseInt(value.String(), 10, 64); err == nil {
			return whole
		}
		float, err := value.Float64()
		check(err)
		return float
	case []any:
		for at := range value {
			value[at] = numbers(value[at])
		}
	case map[string]any:
		for key := range value {
			value[key] = numbers(value[key])
		}
	}
	return value
}

// One notation for both sides.
func show(value ref.Val) string {
	switch value := value.(type) {
	case types.Null:
		return "null"
	case types.Bool:
		return fmt.Sprint(bool(value))
	case types.Int:
		return fmt.Sprint(int64(value))
	case types.Uint:
		return fmt.Sprint(uint64(value)) + "u"
	case types.Double:
		return "d" + double(float64(value))
	case types.String:
		return "s" + hex.EncodeToString([]byte(value))
	case types.Bytes:
		return "b" + hex.EncodeToString(value)
	case types.Timestamp:
		return "t" + value.Time.UTC().Format(time.RFC3339Nano)
	case types.Duration:
		return fmt.Sprint(int64(value.Duration)) + "ns"
	case *types.Type:
		return "type " + value.TypeName()
	case *types.Optional:
		if !value.HasValue() {
			return "none"
		}
		return "some " + show(value.GetValue())
	case traits.Lister:
		var parts []string
		for it := value.Iterator(); it.HasNext() == types.True; {
			parts = append(parts, show(it.Next()))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case traits.Mapper:
		var parts []string
		for it := value.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			parts = append(parts, show(key)+": "+show(value.Get(key)))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "foreign " + value.Type().TypeName()
}

// The bits, so that nobody's way of writing numbers matters.
func double(value float64) string {
	if math.IsNaN(value) {
		return "NaN"
	}
	return fmt.Sprintf("%016x", math.Float64bits(value))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
