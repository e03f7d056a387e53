//go:build tools

// Package tools names what go.mod is for.
package tools

import _ "github.com/traefik/traefik/v3/cmd/traefik"
