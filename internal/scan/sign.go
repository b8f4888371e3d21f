package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrNoCosign means that cosign is not installed. Its text says how to get it.
var ErrNoCosign = errors.New("cosign is not installed: brew install cosign, or see https://docs.sigstore.dev/cosign/system_config/installation/")

// CanSign returns [ErrNoCosign] if cosign, which both Sign and Verify need, is not in the PATH of environ.
func CanSign(environ []string) error {
	if (run{environ: environ}).find("cosign") == "" {
		return ErrNoCosign
	}
	return nil
}

// Sign signs an image in a registry with cosign, which stores the signature in the same repository. ref must have the
// digest. key is the value of cosign's --key; "" means to sign without a key, for which the user may have to log in.
// Since cosign has no terminal, it takes the password of a key from COSIGN_PASSWORD (docs.sigstore.dev:
// cosign/signing/signing_with_containers).
func Sign(ctx context.Context, environ []string, ref, key string) error {
	args := []string{"sign", "--yes"}
	if key != "" {
		args = append(args, "--key", key)
	}
	return cosign(ctx, environ, append(args, ref)...)
}

// A Signer is the one who must have signed an image.
type Signer struct {
	By     string // a key, as the value of cosign's --key, or the identity in a certificate if Issuer is set
	Issuer string // the URL of the OIDC issuer of the identity; "" for a key
}

// Verify returns an error unless an image in a registry is signed by s, according to cosign. ref must have the digest.
// The error says whether the image is not signed, or cosign could not find out (docs.sigstore.dev:
// cosign/verifying/verify).
func Verify(ctx context.Context, environ []string, ref string, s Signer) error {
	if s.Issuer != "" {
		return cosign(ctx, environ, "verify", "--certificate-identity", s.By, "--certificate-oidc-issuer", s.Issuer, ref)
	}
	return cosign(ctx, environ, "verify", "--key", s.By, ref)
}

// cosign runs cosign in an empty folder, for at most five minutes.
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
