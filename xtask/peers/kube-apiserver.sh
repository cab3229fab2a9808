#!/bin/sh
# Builds kube-apiserver from Debian's source package, which holds the upstream tree with all its dependencies.
#
# usage: kube-apiserver.sh FOLDER VERSION
# FOLDER holds kubernetes_*.orig.tar.gz; FOLDER/kube-apiserver is the result. Nothing is fetched.
set -eu
folder=$1
version=$2
cd "$folder"
mkdir tree
tar xf kubernetes_*.orig.tar.gz -C tree --strip-components=1
cd tree

# The tree's reflect2 reads memory in a way that Go 1.19 no longer lays out: every JSON map would panic. Debian's
# newer one is put in its place.
reflect2=vendor/github.com/modern-go/reflect2
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.go /usr/share/gocode/src/github.com/modern-go/reflect2/*.s $reflect2/
rm -f $reflect2/go_above_17.go $reflect2/go_below_17.go $reflect2/go_below_19.go $reflect2/*_test.go

mkdir -p .go/src/k8s.io
ln -s ../../.. .go/src/k8s.io/kubernetes
export PATH="/usr/lib/go-1.19/bin:$PATH" GOPATH="$PWD/.go" GOCACHE="$folder/gocache" HOME="$folder"
export GO111MODULE=off GOFLAGS= CGO_ENABLED=0 GOTOOLCHAIN=local
cd .go/src/k8s.io/kubernetes

# Of all generated files only the OpenAPI definitions are not in the source package. Running their generator alone
# takes a fraction of the time of the tree's own `make`.
go build -o "$folder/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
staging=
for part in api apimachinery apiserver apiextensions-apiserver kube-aggregator metrics client-go component-base \
    kube-proxy kubelet kube-scheduler kube-controller-manager cloud-provider; do
    staging="$staging vendor/k8s.io/$part/"
done
# shellcheck disable=SC2086 # a list of folders
packages=$(grep -rl --include=*.go '+k8s:openapi-gen=' pkg cmd plugin $staging | grep -v -e _test.go -e /testdata/ |
    xargs -n1 dirname | sort -u | grep -v -e wardle -e kubectl | sed 's,^,k8s.io/kubernetes/,' | paste -sd,)
"$folder/openapi-gen" --logtostderr --go-header-file hack/boilerplate/boilerplate.generatego.txt -i "$packages" \
    -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi -r "$folder/openapi-violations"

# Without these the server calls itself v0.0.0-master.
stamp=k8s.io/kubernetes/vendor/k8s.io/component-base/version
major=${version%%.*}
minor=${version#*.}
go build -o "$folder/kube-apiserver" -ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=$major \
    -X $stamp.gitMinor=${minor%%.*} -X $stamp.gitTreeState=archive" ./cmd/kube-apiserver
