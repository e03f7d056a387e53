package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	provisionerName = "millrace.dev/node-storage"
	nodeAnnotation  = "millrace.dev/node"
)

// storage makes a folder of this node into a volume. On each node runs one, which takes the claims of its own node alone.
type storage struct {
	node string
	root string
}

func nodeStorage(ctx context.Context) error {
	client, err := connect()
	if err != nil {
		return err
	}
	volumes := &storage{node: os.Getenv("NODE_NAME"), root: os.Getenv("STORAGE_ROOT")}
	controller.NewProvisionController(ctx, client, provisionerName, volumes,
		controller.LeaderElection(false), controller.MetricsPort(0)).Run(ctx)
	return nil
}

func (s *storage) ShouldProvision(_ context.Context, claim *core.PersistentVolumeClaim) bool {
	return claim.Annotations["volume.kubernetes.io/selected-node"] == s.node
}

func (s *storage) ShouldDelete(_ context.Context, volume *core.PersistentVolume) bool {
	return volume.Annotations[nodeAnnotation] == s.node
}

func (s *storage) Provision(_ context.Context, options controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	folder := filepath.Join(s.root, options.PVName)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// A container of any user may write there, whatever the umask.
	if err := os.Chmod(folder, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	kind := core.HostPathDirectory
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: options.PVName, Annotations: map[string]string{nodeAnnotation: s.node}},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      options.PVC.Spec.Resources.Requests,
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			PersistentVolumeSource:        core.PersistentVolumeSource{HostPath: &core.HostPathVolumeSource{Path: folder, Type: &kind}},
			NodeAffinity:                  onlyOn(s.node),
		},
	}, controller.ProvisioningFinished, nil
}

func (s *storage) Delete(_ context.Context, volume *core.PersistentVolume) error {
	source := volume.Spec.HostPath
	if source == nil || filepath.Dir(source.Path) != filepath.Clean(s.root) {
		return fmt.Errorf("%s is no folder of %s", volume.Name, s.root)
	}
	return os.RemoveAll(source.Path)
}

func onlyOn(node string) *core.VolumeNodeAffinity {
	return &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
		MatchExpressions: []core.NodeSelectorRequirement{{
			Key:      core.LabelHostname,
			Operator: core.NodeSelectorOpIn,
			Values:   []string{node},
		}},
	}}}}
}

var _ controller.Qualifier = (*storage)(nil)
var _ controller.DeletionGuard = (*storage)(nil)
