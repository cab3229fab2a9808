package main

import (
	"cel.dev/expr/conformance/proto2"
	"cel.dev/expr/conformance/proto3"
	"github.com/google/cel-go/common/types"
)

var known *types.Registry

// What is known of protobuf: the messages of the specification's cases.
func registry() *types.Registry {
	if known == nil {
		made, err := types.NewRegistry(&proto2.TestAllTypes{}, &proto3.TestAllTypes{})
		check(err)
		known = made
	}
	return known
}
