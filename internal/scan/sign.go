package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrNoCosign says that nothing is there to sign with, and how to get it.
var ErrNoCosign = errors.New("cosign is not installed: brew install cosign, or see https://docs.sigstore.dev/cosign/system_config/installation/")

// CanSign returns ErrNoCosign if cosign, which signs and verifies, is not there.
func CanSign(environ []string) error {
	if (run{environ: environ}).find("cosign") == "" {
		return ErrNoCosign
	}
	return nil
}

// Sign has cosign sign an image in a registry, which is named with its digest, and put the signature beside it. key is
// what cosign takes for --key; "" is keyless, for which cosign may ask for a login. Nobody answers its questions:
// the password of a key is in COSIGN_PASSWORD (docs.sigstore.dev: cosign/signing/signing_with_containers).
func Sign(ctx context.Context, environ []string, ref, key string) error {
	args := []string{"sign", "--yes"}
	if key != "" {
		args = append(args, "--key", key)
	}
	return cosign(ctx, environ, append(args, ref)...)
}

// A Signer is who is to have signed an image.
type Signer struct {
	// By is a key as cosign takes it for --key or, with Issuer, the identity in a certificate.
	By string
	// Issuer is the URL of who vouches for the identity; "" for a key.
	Issuer string
}

// Verify has cosign find out whether an image in a registry, which is named with its digest, is signed by s. The error
// says why not, or that cosign could not tell (docs.sigstore.dev: cosign/verifying/verify).
func Verify(ctx context.Context, environ []string, ref string, s Signer) error {
	if s.Issuer != "" {
		return cosign(ctx, environ, "verify", "--certificate-identity", s.By, "--certificate-oidc-issuer", s.Issuer, ref)
	}
	return cosign(ctx, environ, "verify", "--key", s.By, ref)
}

// cosign runs cosign in an empty folder.
func cosign(ctx context.Context, environ []string, args ...string) error {
	const patience = 5 * time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("cosign did not end within "+patience.String()))
	defer cancel()
	dir, err := os.MkdirTemp("", "stoker-sign-")
	if err != nil {
		return fmt.Errorf("make a folder for cosign: %w", err)
	}
	defer os.RemoveAll(dir)
	if _, err = (run{dir: dir, environ: environ}).command(ctx, nil, nil, "cosign", args...); err != nil {
		return fmt.Errorf("cosign %s: %w", args[0], err)
	}
	return nil
}
