# To be sourced in the project's root: podman and buildah work in target/pod and touch nothing else of the machine.
# shellcheck shell=bash
mkdir -p target/pod
export CONTAINERS_CONF=$PWD/target/pod/containers.conf
export CONTAINERS_STORAGE_CONF=$PWD/target/pod/storage.conf
export BUILDAH_RUNTIME=runc
# A short path, for the sockets in it must not be longer than 108 characters; and one for each checkout of the project.
run_directory=/run/callgate-e2e-$(pwd | cksum | cut -d ' ' -f 1)
# Small limits: a machine may not be allowed to raise them.
cat >"$CONTAINERS_CONF" <<'CONF'
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
CONF
cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "overlay"
graphroot = "$PWD/target/pod/storage"
runroot = "$run_directory"
CONF
