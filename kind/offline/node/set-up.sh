# Run once, in a container of what is to become a node: puts what lies in /mnt/files over it, enables kind's services,
# and unpacks the images that lie in /mnt: a pod that needs one of them waits for nothing.
cp --archive /mnt/files/. /
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests /etc/cni/net.d /opt/cni/bin
ln -s /usr/lib/cni/{host-local,loopback,portmap,ptp} /opt/cni/bin/
# kind calls these by their place.
ln -s /usr/bin/{containerd,containerd-shim-runc-v2,ctr} /usr/local/bin/
ctr oci spec |
  jq 'del(.process.rlimits) | .hooks.createContainer += [{ path: "/kind/bin/mount-product-files.sh" }]' \
    > /etc/containerd/cri-base.json

containerd > /dev/null 2>&1 &
until ctr version > /dev/null 2>&1; do sleep 0.1; done
tar --create --directory /mnt/system . | ctr --namespace k8s.io images import --all-platforms - > /dev/null
for image in $(ctr --namespace k8s.io images ls --quiet); do
  # The kubelet does not remove it when the disk is full.
  ctr --namespace k8s.io images label "$image" io.cri-containerd.pinned=pinned > /dev/null
done
ctr --namespace k8s.io images import --all-platforms /mnt/servers.tar > /dev/null
# Unpacked, no layer is needed once more as it came.
for blob in $(ctr --namespace k8s.io content ls | awk '$2 ~ /[MG]i?B/ { print $1 }'); do
  ctr --namespace k8s.io content rm "$blob" > /dev/null
done
blobs=/var/lib/containerd/io.containerd.content.v1.content/blobs
for _ in $(seq 100); do
  if ! find "$blobs" -size +1M | grep -q .; then break; fi
  sleep 0.1
done
kill %1
wait
rm -rf /run/containerd
