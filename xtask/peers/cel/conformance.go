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
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/encoding/prototext"

	_ "cel.dev/expr/conformance/proto2"
	_ "cel.dev/expr/conformance/proto3"
)

// A case of the specification: what to evaluate with which variables, and what comes out.
type simple struct {
	Name  string            `json:"name"`
	Expr  string            `json:"expr"`
	Vars  map[string]string `json:"vars,omitempty"`
	Types map[string]string `json:"types,omitempty"`
	Value string            `json:"value,omitempty"`
	Fails bool              `json:"fails,omitempty"`
	// Why the case is none for us, if it is none.
	Beside string `json:"beside,omitempty"`
}

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
	made := simple{Expr: one.Expr, Vars: map[string]string{}, Types: map[string]string{}}
	if one.Container != "" {
		made.Beside = "a container of names"
	}
	if one.DisableCheck {
		made.Beside = "the static check turned off"
	}
	if one.DisableMacros {
		made.Beside = "macros turned off"
	}
	for _, declared := range one.TypeEnv {
		if ident := declared.GetIdent(); ident != nil {
			made.Types[declared.Name] = cel.FormatCELType(typeOf(ident.Type))
		} else {
			made.Beside = "a function of the host's"
		}
	}
	for name, bound := range one.Bindings {
		if _, err := showProto(bound.GetValue()); err != nil {
			made.Beside = err.Error()
			continue
		}
		value, err := cel.ProtoAsValue(registry(), bound.GetValue())
		check(err)
		made.Vars[name] = source(value)
	}
	switch wanted := one.ResultMatcher.(type) {
	case nil:
		made.Value = "true"
	case *test.SimpleTest_Value:
		shown, err := showProto(wanted.Value)
		if err != nil {
			made.Beside = err.Error()
		}
		made.Value = shown
	case *test.SimpleTest_TypedResult:
		if wanted.TypedResult.Result == nil {
			made.Beside = "a type only"
			break
		}
		shown, err := showProto(wanted.TypedResult.Result)
		if err != nil {
			made.Beside = err.Error()
		}
		made.Value = shown
	case *test.SimpleTest_EvalError, *test.SimpleTest_AnyEvalErrors:
		made.Fails = true
	default:
		made.Beside = "an unknown value"
	}
	return made
}

func typeOf(declared *expr.Type) *cel.Type {
	made, err := types.ProtoAsType(declared)
	if err != nil {
		return cel.DynType
	}
	return made
}

func showProto(value *expr.Value) (shown string, err error) {
	switch value.Kind.(type) {
	case *expr.Value_ObjectValue, *expr.Value_EnumValue:
		return "", fmt.Errorf("a message of protobuf")
	}
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("a message of protobuf")
		}
	}()
	made, err := cel.ProtoAsValue(registry(), value)
	if err != nil {
		return "", fmt.Errorf("a message of protobuf")
	}
	shown = show(made)
	if strings.Contains(shown, "foreign") {
		return "", fmt.Errorf("a message of protobuf")
	}
	return shown, nil
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
