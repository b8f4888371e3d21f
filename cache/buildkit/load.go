package buildkit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// LoadArchive loads an image into the user's Docker Engine from an archive (Engine API: POST
// /images/load). It calls feed with a writer for the archive, which the builder closes at the
// end. It returns feed's error, or else the Engine's.
func (e Env) LoadArchive(ctx context.Context, feed func(io.WriteCloser) error) error {
	dial, err := e.Engine()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// If there is no Engine, this fails before feed builds an image.
	conn, err := dial(ctx)
	if err != nil {
		return fmt.Errorf("the Docker Engine does not answer: %w", err)
	}
	conn.Close()
	client := &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableKeepAlives: true,
	}}
	pr, pw := io.Pipe()
	taken := make(chan error, 1)
	go func() {
		err := load(ctx, client, pr)
		pr.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // ends feed if it still writes
		taken <- err
	}()
	err = feed(pw)
	pw.CloseWithError(err) // the builder does not close it if the build fails
	if err != nil {
		cancel(err)
	}
	if loadErr := <-taken; err == nil {
		err = loadErr
	}
	return err
}

// load posts the archive to the Engine and returns the error that it answers.
func load(ctx context.Context, client *http.Client, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker/images/load?quiet=1", body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-tar")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("load the image into Docker: %w", err)
	}
	defer resp.Body.Close()
	// The answer is JSON: an object with a message after a failure, or else one for each event,
	// each on a line.
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct{ Error, Message string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		if text := event.Error + event.Message; text != "" && (event.Error != "" || resp.StatusCode != http.StatusOK) {
			return fmt.Errorf("load the image into Docker: %s", strings.TrimSpace(text))
		}
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("load the image into Docker: it answers %s", resp.Status)
	}
	return lines.Err()
}
