// The Kubernetes API server's own reader of AuthenticationConfiguration and its own authenticator of tokens, for comparison.
//
// One JSON document a line in, one out. In: a configuration, a key set, tokens. Out: the faults of the configuration, or what
// became of each token. Keys are handed over instead of fetched; everything else is k8s.io/apiserver.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	goidc "github.com/coreos/go-oidc"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

type question struct {
	Config string          `json:"config"`
	Keys   json.RawMessage `json:"keys"`
	Tokens []string        `json:"tokens"`
}

type answer struct {
	Faults  string    `json:"faults,omitempty"`
	Callers []*caller `json:"callers"`
}

type caller struct {
	User    string              `json:"user"`
	UID     string              `json:"uid"`
	Groups  []string            `json:"groups"`
	Extra   map[string][]string `json:"extra"`
	Refused string              `json:"refused,omitempty"`
}

func main() {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(err)
		}
		var asked question
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		if err := out.Encode(judge(codecs, asked)); err != nil {
			panic(err)
		}
	}
}

func judge(codecs serializer.CodecFactory, asked question) answer {
	if len(asked.Config) == 0 {
		return answer{Faults: "empty config data"}
	}
	config := &apiserver.AuthenticationConfiguration{}
	if err := runtime.DecodeInto(codecs.UniversalDecoder(), []byte(asked.Config), config); err != nil {
		return answer{Faults: err.Error()}
	}
	compiler := authenticationcel.NewDefaultCompiler()
	if faults := validation.ValidateAuthenticationConfiguration(compiler, config, nil); len(faults) > 0 {
		return answer{Faults: faults.ToAggregate().Error()}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client := goidc.ClientContext(ctx, &http.Client{Transport: published(asked.Keys)})
	var authenticators []oidc.AuthenticatorTokenWithHealthCheck
	for _, issuer := range config.JWT {
		issuer.Issuer.DiscoveryURL, issuer.Issuer.EgressSelectorType = "", ""
		made, err := oidc.New(ctx, oidc.Options{
			JWTAuthenticator:     issuer,
			KeySet:               goidc.NewRemoteKeySet(client, "https://keys.invalid/"),
			SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
			Compiler:             compiler,
		})
		if err != nil {
			return answer{Faults: err.Error()}
		}
		authenticators = append(authenticators, made)
	}
	result := answer{Callers: []*caller{}}
	for _, token := range asked.Tokens {
		result.Callers = append(result.Callers, authenticate(ctx, authenticators, token))
	}
	return result
}

func authenticate(ctx context.Context, authenticators []oidc.AuthenticatorTokenWithHealthCheck, token string) *caller {
	refused := "no authenticator knows the issuer"
	for _, one := range authenticators {
		response, ok, err := one.AuthenticateToken(ctx, token)
		if ok && err == nil {
			user := response.User
			return &caller{User: user.GetName(), UID: user.GetUID(), Groups: user.GetGroups(), Extra: user.GetExtra()}
		}
		if err != nil {
			refused = fmt.Sprint(err)
		}
	}
	return &caller{Refused: refused}
}

// published answers every request with the key set.
type published json.RawMessage

func (keys published) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=3600"}},
		Body:       io.NopCloser(strings.NewReader(string(keys))),
		Request:    request,
	}, nil
}
