package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// pingLimit bounds one ping of the Engine while it starts.
const pingLimit = 2 * time.Second

// startEngine starts a Docker Engine below dir, and returns when it answers at socket. With oldStore the Engine keeps
// images with a graph driver (Options.OldStore).
//
// The Engine and the bridge of its containers are in a network namespace of their own, without a way out: nothing of
// this machine's network is touched, and no iptables are needed, but containers reach only the registry, which listens
// in the namespace, too. containerd runs within dockerd, in the version that dockerd pins.
func startEngine(ctx context.Context, bins, dir, socket string, registry *registryServer, oldStore bool) (*server, error) {
	root := filepath.Join(dir, "engine")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make the Docker Engine's directory: %w", err)
	}
	conf, err := engineConfig(root, socket, registry.addr, oldStore)
	if err != nil {
		return nil, err
	}
	logPath := filepath.Join(dir, "dockerd.log")
	logFile, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("make the Docker Engine's log: %w", err)
	}
	defer logFile.Close() // the child has its own descriptor
	_ = os.Remove(socket) // left by a lab that was killed; the directory's lock is ours

	cmd := isolatedNetwork(filepath.Join(bins, "dockerd"), "--config-file", conf)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+root, "DOCKER_TMPDIR="+root)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	s, err := serve(ctx, cmd, socket, func(ctx context.Context) bool { return pings(ctx, socket) })
	if err != nil {
		return nil, fmt.Errorf("start the Docker Engine: %w\n%s", err, tail(logPath))
	}
	listener, err := listenInside(ctx, cmd.Process.Pid, registry.addr)
	if err != nil {
		s.kill()
		return nil, fmt.Errorf("serve images to the Docker Engine: %w", err)
	}
	registry.serve(listener)
	return s, nil
}

// engineConfig writes daemon.json below root and returns its path. What the Engine does not keep below root is below
// /run, which no other process sees (isolatedNetwork).
func engineConfig(root, socket, registry string, oldStore bool) (string, error) {
	conf, err := json.Marshal(map[string]any{
		"data-root":        filepath.Join(root, "data"),
		"hosts":            []string{"unix://" + socket},
		"registry-mirrors": []string{"http://" + registry},
		"features": map[string]bool{
			"containerd-snapshotter": !oldStore, "embedded-containerd": true,
			"time-namespaces": false, // Debian's runc does not support them
		},
		"iptables":       false,
		"ip6tables":      false,
		"userland-proxy": false,
	})
	if err != nil {
		return "", err
	}
	name := filepath.Join(root, "daemon.json")
	if err := os.WriteFile(name, conf, 0o600); err != nil {
		return "", fmt.Errorf("write the Docker Engine's configuration: %w", err)
	}
	return name, nil
}

// pings reports whether the Engine at socket answers a ping.
func pings(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return false
	}
	resp, err := c.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
