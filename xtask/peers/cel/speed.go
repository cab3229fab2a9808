package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	"google.golang.org/protobuf/types/known/structpb"
)

// Answers each line {expr, claims} with evaluations per second: with claims that are decoded already, and from their JSON.
// Neither cost nor any limit is counted: what a Go program does that asks for nothing.
func speed(in *bufio.Scanner, out *bufio.Writer) error {
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		return err
	}
	span := time.Duration(seconds * float64(time.Second))
	env, err := cel.NewEnv(cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)))
	if err != nil {
		return err
	}
	for in.Scan() {
		var asked question
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			return err
		}
		checked, issues := env.Compile(asked.Expr)
		if issues.Err() != nil {
			return issues.Err()
		}
		program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			return err
		}
		var claims any
		if err := json.Unmarshal(asked.Claims, &claims); err != nil {
			return err
		}
		value, err := evaluate(program, claims)
		if err != nil {
			return err
		}
		plain, err := value.ConvertToNative(reflect.TypeFor[*structpb.Value]())
		if err != nil {
			return err
		}
		shown, err := json.Marshal(plain)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "value %s\n", shown)
		held, err := rate(span, func() error {
			_, err := evaluate(program, claims)
			return err
		})
		if err != nil {
			return err
		}
		parsed, err := rate(span, func() error {
			var claims any
			if err := json.Unmarshal(asked.Claims, &claims); err != nil {
				return err
			}
			_, err := evaluate(program, claims)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%.0f %.0f\n", held, parsed)
	}
	return in.Err()
}

func evaluate(program cel.Program, claims any) (ref.Val, error) {
	value, _, err := program.Eval(map[string]any{"claims": claims})
	return value, err
}

func rate(span time.Duration, run func() error) (float64, error) {
	start, calls := time.Now(), 0
	for time.Since(start) < span {
		for range 64 {
			if err := run(); err != nil {
				return 0, err
			}
		}
		calls += 64
	}
	return float64(calls) / time.Since(start).Seconds(), nil
}
