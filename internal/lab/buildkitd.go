package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// config returns the content of buildkitd.toml. The snapshotter "auto" is overlayfs, or native if the
// filesystem of dir cannot hold an overlay. With the network mode host, which a build may ask for,
// too, RUN reaches package registries without a network plugin.
func config(dir, registry string) string {
	q := strconv.Quote
	return fmt.Sprintf(`root = %s
insecure-entitlements = ["network.host"]

[grpc]
  address = [%s]

[worker.oci]
  enabled = true
  binary = "runc"
  snapshotter = "auto"
  networkMode = "host"

[worker.containerd]
  enabled = false

[registry."docker.io"]
  mirrors = [%[3]s]

[registry."gcr.io"]
  mirrors = [%[3]s]

[registry."ghcr.io"]
  mirrors = [%[3]s]

[registry.%[3]s]
  http = true
`, q(filepath.Join(dir, "root")), q("unix://"+filepath.Join(dir, "buildkitd.sock")), q(registry))
}

// startBuildkitd starts buildkitd below dir and returns when its workers answer. registry is the
// host:port of the registry that it uses in place of the public ones.
func startBuildkitd(ctx context.Context, bins, dir, registry string) (*server, error) {
	conf := filepath.Join(dir, "buildkitd.toml")
	if err := os.WriteFile(conf, []byte(config(dir, registry)), 0o600); err != nil {
		return nil, fmt.Errorf("write buildkitd's configuration: %w", err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make buildkitd's temporary directory: %w", err)
	}
	logPath := filepath.Join(dir, "buildkitd.log")
	logFile, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("make buildkitd's log: %w", err)
	}
	defer logFile.Close() // the child has its own descriptor
	socket := filepath.Join(dir, "buildkitd.sock")
	_ = os.Remove(socket) // left by a lab that was killed; the directory's lock is ours

	cmd := isolated(filepath.Join(bins, "buildkitd"), "--config", conf)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// It listens before its workers are up, and may still fail then.
	answers := func(ctx context.Context) bool {
		return exec.CommandContext(ctx, filepath.Join(bins, "buildctl"), "--addr", "unix://"+socket, "debug", "workers").Run() == nil
	}
	s, err := serve(ctx, cmd, socket, answers)
	if err != nil {
		return nil, fmt.Errorf("start buildkitd: %w\n%s", err, tail(logPath))
	}
	return s, nil
}
