// An application on go-oidc: signs in with PKCE and checks everything that the library checks.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func main() {
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, os.Getenv("ISSUER"))
	must(err)
	for _, client := range []struct{ id, secret, alg string }{
		{"web-app", "a secret with %, & and +", "RS256"},
		{"web-app-es256", "other-secret", "ES256"},
	} {
		signIn(ctx, provider, client.id, client.secret, client.alg)
	}
	fmt.Println("passed")
}

func signIn(ctx context.Context, provider *oidc.Provider, id, secret, alg string) {
	config := oauth2.Config{
		ClientID: id, ClientSecret: secret, Endpoint: provider.Endpoint(),
		RedirectURL: "https://app.example/callback",
		Scopes:      []string{oidc.ScopeOpenID, "email", "groups", oidc.ScopeOfflineAccess},
	}
	verifier := oauth2.GenerateVerifier()
	asked := config.AuthCodeURL("state", oidc.Nonce("nonce"), oauth2.S256ChallengeOption(verifier))
	answer := browse(asked)
	demand(answer.Get("state") == "state" && answer.Get("iss") == os.Getenv("ISSUER"), "state and iss")
	token, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(verifier))
	must(err)
	raw := token.Extra("id_token").(string)
	checks := provider.Verifier(&oidc.Config{ClientID: id, SupportedSigningAlgs: []string{alg}})
	verified, err := checks.Verify(ctx, raw)
	must(err)
	must(verified.VerifyAccessToken(token.AccessToken))
	demand(verified.Nonce == "nonce", "nonce")
	var claims struct {
		Email    string   `json:"email"`
		Verified bool     `json:"email_verified"`
		Groups   []string `json:"groups"`
	}
	must(verified.Claims(&claims))
	demand(claims.Email == "ana@example.com" && claims.Verified && len(claims.Groups) == 2, "claims")

	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	must(err)
	demand(info.Subject == verified.Subject, "subject")
	again, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	must(err)
	_, err = checks.Verify(ctx, again.Extra("id_token").(string))
	must(err)

	parts := strings.Split(raw, ".")
	other := strings.Split(again.Extra("id_token").(string), ".")
	_, err = checks.Verify(ctx, strings.Join([]string{parts[0], parts[1], other[2]}, "."))
	demand(err != nil, "a signature of another token")
	elsewhere := provider.Verifier(&oidc.Config{ClientID: "native", SupportedSigningAlgs: []string{alg}})
	_, err = elsewhere.Verify(ctx, raw)
	demand(err != nil, "another audience")
}

func browse(asked string) url.Values {
	out, err := exec.Command(os.Args[1], os.Args[2], asked).Output()
	must(err)
	answer, err := url.Parse(strings.TrimSpace(string(out)))
	must(err)
	return answer.Query()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func demand(good bool, what string) {
	if !good {
		log.Fatalf("not as it should be: %s", what)
	}
}
