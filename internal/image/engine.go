package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const startEngine = "start Docker, or set DOCKER_HOST"

// engineTimeout bounds how long an engine may take to say whether it has an image.
const engineTimeout = 15 * time.Second

// fromEngine opens what `docker save` would write, as a stream (Engine API: GET /images/{name}/get).
func (i *Image) fromEngine(ctx context.Context, name string, o OpenOptions) error {
	dial := o.Engine
	if dial == nil {
		why := "none is known"
		if o.NoEngine != nil {
			why = o.NoEngine.Error()
		}
		return &Error{Message: "no Docker Engine: " + why, Hint: startEngine, Unreachable: true}
	}
	transport := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
	}
	i.closers = append(i.closers, closer(transport.CloseIdleConnections))
	client := &http.Client{Transport: transport}
	asked, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	resp, err := engineGet(asked, client, name, "json", "")
	if err != nil {
		return &Error{Message: "the Docker Engine does not answer: " + rootOf(err).Error(), Hint: startEngine, Unreachable: true}
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return bad("docker images lists what it has", "the Docker Engine has no such image")
	default:
		return fmt.Errorf("the Docker Engine answers %s", resp.Status)
	}
	query := ""
	if i.want.platform != "" {
		p, err := parsePlatform(i.want.platform)
		if err != nil {
			return err
		}
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		query = "?platform=" + url.QueryEscape(string(text)) // engines before API 1.48 pass over it
	}
	resp, err = engineGet(ctx, client, name, "get", query) //nolint:bodyclose // it is closed with i
	if err != nil {
		return rootOf(err)
	}
	i.closers = append(i.closers, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return bad("", "the Docker Engine does not give it out: %s", engineMessage(resp))
	}
	i.from, i.stream = "the Docker Engine", resp.Body
	return nil
}

// engineGet asks without a version in the path: what is asked for is in every one.
func engineGet(ctx context.Context, client *http.Client, name, what, query string) (*http.Response, error) {
	// The host is of no use on a socket, but HTTP wants one.
	u := "http://docker/images/" + (&url.URL{Path: name}).EscapedPath() + "/" + what + query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// engineMessage is what an engine says of an error.
func engineMessage(resp *http.Response) string {
	var said struct{ Message string }
	const enough = 4 << 10
	if err := json.NewDecoder(io.LimitReader(resp.Body, enough)).Decode(&said); err != nil || said.Message == "" {
		return resp.Status
	}
	return said.Message
}

// rootOf leaves out the address that was only made up.
func rootOf(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

type closer func()

func (c closer) Close() error {
	c()
	return nil
}
