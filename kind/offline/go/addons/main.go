// Addons is what a node needs beside Kubernetes itself: network, network policies, storage, metrics, and a small crictl.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

var programs = map[string]func(ctx context.Context) error{
	"crictl": func(ctx context.Context) error { return crictl(ctx, os.Args[1:]) },
	"metrics-server": func(ctx context.Context) error {
		logs.InitLogs()
		return cli.RunNoErrOutput(app.NewMetricsServerCommand(ctx.Done()))
	},
	"node-network": nodeNetwork,
	"node-storage": nodeStorage,
}

func main() {
	args := os.Args
	if programs[filepath.Base(args[0])] == nil && len(args) > 1 {
		args = args[1:]
	}
	run := programs[filepath.Base(args[0])]
	if run == nil {
		fmt.Fprintln(os.Stderr, "first word or own name must be one of:", strings.Join(slices.Sorted(maps.Keys(programs)), " "))
		os.Exit(2)
	}
	os.Args = args
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(args[0]), err)
		os.Exit(1)
	}
}

// connect is for programs that run in a pod. CONTROL_PLANE_ENDPOINT, where it is set, is the API server's own address:
// that of its service means nothing before kube-proxy runs.
func connect() (*kubernetes.Clientset, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint
	}
	return kubernetes.NewForConfig(config)
}
