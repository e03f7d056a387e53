package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/coreos/go-iptables/iptables"
	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const (
	cniPath = "/etc/cni/net.d/10-millrace.conflist"
	// Each pod has a link of its own to the node, no bridge: all its packets pass the chain FORWARD, where network
	// policies are enforced.
	cniFormat = `{
  "cniVersion": "0.4.0",
  "name": "millrace",
  "plugins": [
    {
      "type": "ptp",
      "mtu": %d,
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "ranges": [[{ "subnet": %q }]],
        "routes": [{ "dst": "0.0.0.0/0" }]
      }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
`
)

// nodeNetwork connects the pods of this node and enforces the policies on them. It ends when either fails.
func nodeNetwork(ctx context.Context) error {
	client, err := connect()
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- connectPods(ctx, client) }()
	go func() { ended <- enforcePolicies(ctx, client) }()
	return <-ended
}

// connectPods tells the container runtime which addresses the pods of this node get, and keeps a route to those of every
// other node. What leaves the cluster goes out with the node's address.
func connectPods(ctx context.Context, client kubernetes.Interface) error {
	self, podSubnet := os.Getenv("NODE_NAME"), os.Getenv("POD_SUBNET")
	factory := informers.NewSharedInformerFactory(client, time.Minute)
	nodes := factory.Core().V1().Nodes().Informer()
	keep := func(node *core.Node) {
		if err := keepNode(node, self); err != nil {
			klog.ErrorS(err, "will be tried again", "node", node.Name)
		}
	}
	if _, err := nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(added any) { keep(added.(*core.Node)) },
		UpdateFunc: func(_, updated any) { keep(updated.(*core.Node)) },
	}); err != nil {
		return err
	}
	tables, err := iptables.New(iptables.Timeout(30))
	if err != nil {
		return err
	}
	if err := tables.AppendUnique("nat", "POSTROUTING", "-s", podSubnet, "!", "-d", podSubnet, "-j", "MASQUERADE"); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	return nil
}

func keepNode(node *core.Node, self string) error {
	if node.Spec.PodCIDR == "" {
		return nil
	}
	if node.Name == self {
		return writeCNI(node.Spec.PodCIDR)
	}
	_, pods, err := net.ParseCIDR(node.Spec.PodCIDR)
	if err != nil {
		return err
	}
	for _, address := range node.Status.Addresses {
		if address.Type == core.NodeInternalIP {
			return netlink.RouteReplace(&netlink.Route{Dst: pods, Gw: net.ParseIP(address.Address)})
		}
	}
	return nil
}

func writeCNI(pods string) error {
	outside, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	text := fmt.Appendf(nil, cniFormat, outside.Attrs().MTU, pods)
	if present, err := os.ReadFile(cniPath); err == nil && bytes.Equal(present, text) {
		return nil
	}
	// The runtime may read the folder at any moment.
	if err := os.WriteFile(cniPath+".partial", text, 0o644); err != nil {
		return err
	}
	return os.Rename(cniPath+".partial", cniPath)
}
