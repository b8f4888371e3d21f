package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolated returns a command that runs a program in a mount and a PID namespace of its own. When
// the program ends, the kernel kills all processes of the PID namespace, those of containers, too,
// and the mounts go with the last of them: however the lab ends, nothing is left to clean up. /proc
// is mounted anew because runc would else find the processes of the machine there.
func isolated(name string, args ...string) *exec.Cmd {
	const script = `mount --make-rprivate / && mount -t proc proc /proc && exec "$@"`
	return inNamespaces(syscall.CLONE_NEWNS|syscall.CLONE_NEWPID, script, "sh", name, args)
}

// isolatedNetwork is like isolated, and gives the program a network namespace and an empty /run of its own, too. dockerd
// would else use a containerd that it finds in /run, and leave sockets there.
func isolatedNetwork(name string, args ...string) *exec.Cmd {
	const script = `mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run &&
"$0" ip link set lo up && exec "$@"`
	box, _ := busyboxPath() // checkMachine has found it
	return inNamespaces(syscall.CLONE_NEWNS|syscall.CLONE_NEWPID|syscall.CLONE_NEWNET, script, box, name, args)
}

// inNamespaces returns a command that runs a shell script in new namespaces, as flags of clone(2) say. The script's $0 is
// zero, and its arguments are name and args.
func inNamespaces(flags uintptr, script, zero, name string, args []string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, zero, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: flags,
		Pdeathsig:  syscall.SIGKILL,
		// Ctrl-C in a terminal signals the whole process group, but the lab decides when a server ends.
		Setpgid: true,
	}
	return cmd
}

// listenInside listens in the network namespace of the process pid. A socket stays in the namespace that it was made in,
// so the caller can accept from its own.
func listenInside(ctx context.Context, pid int, address string) (net.Listener, error) {
	var listener net.Listener
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread, which changes its namespace, ends with the goroutine
		made <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter the network of process %d: %w", pid, err)
			}
			listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
			return err
		}()
	}()
	err := <-made
	return listener, err
}

// checkMachine returns an error that lists all that this machine lacks for a lab, and how to get it.
func checkMachine() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("the lab's buildkitd mounts filesystems and must run as root: use sudo, or set "+
			EnvBuildKit+" to the address of a running buildkitd"))
	}
	var missing []string
	if _, err := exec.LookPath("runc"); err != nil {
		missing = append(missing, "runc")
	}
	if _, err := busyboxPath(); err != nil {
		missing = append(missing, "busybox-static")
	}
	if len(missing) > 0 {
		install := "apt-get install --no-install-recommends"
		for _, p := range missing {
			install += " " + p
		}
		errs = append(errs, fmt.Errorf("the lab needs programs that are not here; on Debian or Ubuntu: %s", install))
	}
	if len(errs) == 0 {
		errs = append(errs, checkCgroups("/sys/fs/cgroup"))
	}
	return errors.Join(errs...)
}

// checkCgroups makes and removes a control group below mount, as runc does for each container. That
// fails in a container without privileges, and runc's own error is hard to understand.
func checkCgroups(mount string) error {
	dir := mount
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err != nil {
		dir = filepath.Join(mount, "devices") // cgroup v1 has a tree per controller; runc needs this one
	}
	probe, err := os.MkdirTemp(dir, "stoker-lab-")
	if err != nil {
		return fmt.Errorf("runc cannot make a control group here: %w; in a container, give it --privileged", err)
	}
	return os.Remove(probe)
}
