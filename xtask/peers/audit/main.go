// The Kubernetes API server's own reader of audit policies, its evaluation of them and its view of a request, for comparison.
//
// One JSON document a line in, one out. In: a policy file and requests. Out: the faults of the file, or what the policy says
// of each request and what the request asks for. Everything but the reading of lines is k8s.io/apiserver.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	serverfilters "k8s.io/apiserver/pkg/server/filters"
)

type question struct {
	Policy   string  `json:"policy"`
	Requests []asked `json:"requests"`
}

type asked struct {
	Method string   `json:"method"`
	URI    string   `json:"uri"`
	User   *string  `json:"user"`
	Groups []string `json:"groups"`
}

type answer struct {
	Faults   string `json:"faults,omitempty"`
	Requests []told `json:"requests"`
}

type told struct {
	Unreadable        bool     `json:"unreadable"`
	Level             string   `json:"level"`
	OmitStages        []string `json:"omitStages"`
	OmitManagedFields bool     `json:"omitManagedFields"`
	LongRunning       bool     `json:"longRunning"`
	Resource          bool     `json:"isResource"`
	Path              string   `json:"path"`
	Verb              string   `json:"verb"`
	Group             string   `json:"apiGroup"`
	Version           string   `json:"apiVersion"`
	Namespace         string   `json:"namespace"`
	Kind              string   `json:"resource"`
	Subresource       string   `json:"subresource"`
	Name              string   `json:"name"`
}

var (
	infos = &request.RequestInfoFactory{
		APIPrefixes:          sets.NewString("api", "apis"),
		GrouplessAPIPrefixes: sets.NewString("api"),
	}
	longRunning = serverfilters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"),
		sets.NewString("attach", "exec", "proxy", "log", "portforward"),
	)
)

func main() {
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
		var question question
		if err := json.Unmarshal(line, &question); err != nil {
			panic(err)
		}
		if err := out.Encode(judge(question)); err != nil {
			panic(err)
		}
	}
}

func judge(question question) answer {
	read, err := policy.LoadPolicyFromBytes([]byte(question.Policy))
	if err != nil {
		return answer{Faults: err.Error()}
	}
	evaluator := policy.NewPolicyRuleEvaluator(read)
	result := answer{Requests: []told{}}
	for _, asked := range question.Requests {
		target, err := url.ParseRequestURI(asked.URI)
		if err != nil {
			// net/http answers such a request by itself.
			result.Requests = append(result.Requests, told{Unreadable: true})
			continue
		}
		req := &http.Request{Method: asked.Method, URL: target}
		// With an error it gives what it has understood all the same.
		info, _ := infos.NewRequestInfo(req)
		ctx := request.WithRequestInfo(context.Background(), info)
		if asked.User != nil {
			ctx = request.WithUser(ctx, &user.DefaultInfo{Name: *asked.User, Groups: asked.Groups})
		}
		attributes, err := filters.GetAuthorizerAttributes(ctx)
		if err != nil {
			panic(err)
		}
		says := evaluator.EvaluatePolicyRule(attributes)
		stages := []string{}
		for _, stage := range says.OmitStages {
			stages = append(stages, string(stage))
		}
		slices.Sort(stages)
		result.Requests = append(result.Requests, told{
			Level:             string(says.Level),
			OmitStages:        stages,
			OmitManagedFields: says.OmitManagedFields,
			LongRunning:       longRunning(req, info),
			Resource:          info.IsResourceRequest,
			Path:              info.Path,
			Verb:              info.Verb,
			Group:             info.APIGroup,
			Version:           info.APIVersion,
			Namespace:         info.Namespace,
			Kind:              info.Resource,
			Subresource:       info.Subresource,
			Name:              info.Name,
		})
	}
	return result
}
