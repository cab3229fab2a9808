package main

import (
	"github.com/google/cel-go/common/types"
)

var known *types.Registry

func registry() *types.Registry {
	if known == nil {
		made, err := types.NewRegistry()
		check(err)
		known = made
	}
	return known
}
