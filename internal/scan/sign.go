package scan

import (
	"context"
	"errors"
	"os"
	"time"
)

// ErrNoCosign says that nothing is there to sign with, and how to get it.
var ErrNoCosign = errors.New("cosign is not installed: brew install cosign, or see https://docs.sigstore.dev/cosign/system_config/installation/")

// CanSign returns ErrNoCosign if cosign is not there.
func CanSign(environ []string) error {
	if (run{environ: environ}).find("cosign") == "" {
		return ErrNoCosign
	}
	return nil
}

// Sign has cosign sign an image in a registry, which is named with its digest, and put the signature beside it. key is
// what cosign takes for --key; "" is keyless, for which cosign may ask for a login. What it asks goes unanswered here:
// the password of a key is in COSIGN_PASSWORD (docs.sigstore.dev: cosign/signing/signing_with_containers).
func Sign(ctx context.Context, environ []string, ref, key string) error {
	const patience = 5 * time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("cosign did not end within "+patience.String()))
	defer cancel()
	dir, err := os.MkdirTemp("", "stoker-sign-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args := []string{"sign", "--yes"}
	if key != "" {
		args = append(args, "--key", key)
	}
	_, err = run{dir: dir, environ: environ}.command(ctx, nil, nil, "cosign", append(args, ref)...)
	return err
}
