package buildkit

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/moby/buildkit/client"
)

// noLayouts is the kind of failure of a builder that cannot export in the form asked for.
const noLayouts = "this builder cannot give an image to stoker: turn on Docker's containerd image store, or use a buildx builder (docker buildx create --use)"

// noPush is the kind of failure of a builder that was asked to push and cannot.
const noPush = "this Docker Engine does not push what it builds: use --load, then docker push; or turn on Docker's containerd image store"

// errOldForm says that an archive has no OCI layout, as those of an Engine before 25.
var errOldForm = errors.New("no OCI layout is in what docker save gives")

// buildSaved builds an image into the Engine's store, and writes it from there into a layout,
// as `docker save` does. An Engine that keeps images with a graph driver has no other way.
// The image stays in the store without a name, as after `docker build` without a tag.
func (b *Builder) buildSaved(ctx context.Context, opt client.SolveOpt, d Display, layout string) (*replay, *client.SolveResponse, error) {
	opt.Exports = []client.ExportEntry{{Type: "moby"}}
	seen, resp, err := b.shown(ctx, d, b.solving(ctx, nil, opt))
	if err != nil {
		return seen, resp, err
	}
	if err = b.save(ctx, resp.ExporterResponse["containerimage.config.digest"], layout); errors.Is(err, errOldForm) {
		return seen, nil, &SolveError{Kind: noLayouts, cause: err}
	}
	// Such a store gives the image's ID as its digest.
	delete(resp.ExporterResponse, "containerimage.digest")
	return seen, resp, err
}

// save writes an image of the Engine's store into dir as an OCI layout (Engine API: GET
// /images/{name}/get).
func (b *Builder) save(ctx context.Context, id, dir string) error {
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return b.engine(ctx) },
		DisableKeepAlives: true, DisableCompression: true,
	}
	u := "http://docker/images/" + url.PathEscape(id) + "/get"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("save the image: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("save the image: the Docker Engine answers %s", resp.Status)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save the image: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("save the image: %w", err)
	}
	defer root.Close()
	if err := unpackLayout(resp.Body, root); err != nil {
		return fmt.Errorf("save the image: %w", err)
	}
	return nil
}

// layoutFile matches the paths of the files of an OCI layout.
var layoutFile = regexp.MustCompile(`^(oci-layout|index\.json|blobs/[a-z0-9]+/[0-9a-f]+)$`)

// unpackLayout writes the files of the OCI layout that is in an archive into to, or returns
// errOldForm if there is none.
func unpackLayout(from io.Reader, to *os.Root) error {
	archive := tar.NewReader(from)
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			if _, err := to.Stat("index.json"); err != nil {
				return errOldForm
			}
			return nil
		case err != nil:
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Typeflag != tar.TypeReg || !layoutFile.MatchString(name) {
			continue
		}
		if err := unpackFile(archive, to, name); err != nil {
			return err
		}
	}
}

// unpackFile writes a new file, and makes its directory.
func unpackFile(from io.Reader, to *os.Root, name string) error {
	if err := to.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := to.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
