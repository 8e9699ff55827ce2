package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options say where the hub is and how it is asked.
type Options struct {
	Endpoint string        // address of the hub or of a mirror; "" for https://huggingface.co
	Token    string        // of an account; "" for none
	Cache    string        // folder of the cache of Hugging Face's programs; "" for none
	Parallel int           // requests at a time; 0 for 8
	Idle     time.Duration // without a byte after which a request is begun anew; 0 for a minute
	Backoff  time.Duration // wait after a first failure, which doubles; 0 for a second
	Chunk    int64         // bytes of a request; 0 for 64 MiB
	Log      *slog.Logger
	Client   *http.Client // nil for one that takes proxies from the environment
}

// FromEnvironment returns what Hugging Face's programs would use, by the same variables: HF_ENDPOINT,
// HF_TOKEN or the file in which a log-in keeps it, HF_HUB_CACHE, HF_HOME.
func FromEnvironment() Options {
	home := os.Getenv("HF_HOME")
	if home == "" {
		if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
			home = filepath.Join(cache, "huggingface")
		} else if user, err := os.UserHomeDir(); err == nil {
			home = filepath.Join(user, ".cache", "huggingface")
		}
	}
	o := Options{Endpoint: os.Getenv("HF_ENDPOINT"), Token: cmp.Or(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN")),
		Cache: cmp.Or(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE"), filepath.Join(home, "hub"))}
	if o.Token == "" {
		text, _ := os.ReadFile(cmp.Or(os.Getenv("HF_TOKEN_PATH"), filepath.Join(home, "token")))
		o.Token = strings.TrimSpace(string(text))
	}
	return o
}

// Client asks a hub.
type Client struct{ o Options }

// New returns a client.
func New(o Options) (*Client, error) {
	o.Endpoint = strings.TrimRight(cmp.Or(o.Endpoint, "https://huggingface.co"), "/")
	if u, err := url.Parse(o.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("HF_ENDPOINT: found %q, want an address such as https://huggingface.co", o.Endpoint)
	}
	o.Parallel, o.Idle, o.Backoff, o.Chunk = cmp.Or(o.Parallel, 8), cmp.Or(o.Idle, time.Minute), cmp.Or(o.Backoff, time.Second), cmp.Or(o.Chunk, 64<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Client == nil {
		o.Client = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: o.Parallel, ResponseHeaderTimeout: o.Idle, TLSHandshakeTimeout: o.Idle, ForceAttemptHTTP2: true,
		}}
	}
	client := *o.Client
	client.CheckRedirect = keepToken
	o.Client = &client
	return &Client{o}, nil
}

// keepToken follows a redirect, and keeps the token from any other address than the hub's: net/http
// looks at the host alone.
func keepToken(next *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("there are more than 10 redirects")
	}
	if hub := via[0].URL; next.URL.Host != hub.Host || next.URL.Scheme != hub.Scheme {
		next.Header.Del("Authorization")
	}
	return nil
}

// Endpoint returns the hub's address.
func (c *Client) Endpoint() string { return c.o.Endpoint }

// Page returns the address of a repository's page.
func (c *Client) Page(repo string) string { return c.o.Endpoint + "/" + repo }

// mostTries is how often a request may fail in a row without a byte coming.
const mostTries = 8

// mostWait bounds what is waited between two tries, also where the hub asks for more.
const mostWait = 5 * time.Minute

// again calls try until it succeeds or fails for good: what else fails is tried again after a
// while, as long as between two failures something came.
func (c *Client) again(ctx context.Context, address string, try func() (progress bool, err error)) error {
	for tries := 1; ; tries++ {
		progress, err := try()
		if progress {
			tries = 1
		}
		var wait retryError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &wait):
			return err
		case tries == mostTries:
			return &NetworkError{address, tries, wait.err}
		}
		pause := min(c.o.Backoff<<(tries-1), mostWait)
		pause = max(min(wait.after, mostWait), pause/2+rand.N(pause/2+1))
		c.o.Log.Info("trying again", "address", address, "after", pause, "err", wait.err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// retryError is one that time may help against.
type retryError struct {
	err   error
	after time.Duration // what the hub asks for; 0 for nothing
}

func (e retryError) Error() string { return e.err.Error() }

// send sends a request, with the range from first on if last is not negative. Its errors are
// retryErrors where it is worth while to try again. Whoever gets an answer closes its body.
func (c *Client) send(ctx context.Context, repo, address string, first, last int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "gimbal")
	if c.o.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	if last >= 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
		request.Header.Set("Accept-Encoding", "identity")
	}
	response, err := c.o.Client.Do(request)
	if err != nil {
		return nil, retryError{err: err}
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusPartialContent {
		return response, nil
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return nil, retryError{fmt.Errorf("the hub answers %s", response.Status), time.Duration(max(0, seconds)) * time.Second}
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return nil, &AccessError{repo, c.Page(repo), response.Header.Get("X-Error-Code") == "GatedRepo", c.o.Token != ""}
	}
	return nil, &StatusError{address, response.Status}
}

// maxJSON bounds the hub's answers about a repository.
const maxJSON = 32 << 20

// json asks for an object, and returns where the rest of it is, "" for nowhere.
func (c *Client) json(ctx context.Context, repo, address string, to any) (next string, err error) {
	err = c.again(ctx, address, func() (bool, error) {
		response, err := c.send(ctx, repo, address, 0, -1)
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(io.LimitReader(response.Body, maxJSON))
		if err != nil {
			return false, retryError{err: err}
		}
		if err := json.Unmarshal(text, to); err != nil {
			return false, fmt.Errorf("%s: found no answer of a hub (is there a log-in page, or a proxy, in between?): %w", address, err)
		}
		next = nextPage(response)
		return false, nil
	})
	return next, err
}

// nextPage returns the address in a header such as Link: <https://...>; rel="next".
func nextPage(response *http.Response) string {
	for _, link := range strings.Split(response.Header.Get("Link"), ",") {
		address, rel, ok := strings.Cut(link, ";")
		address = strings.Trim(strings.TrimSpace(address), "<>")
		if !ok || !strings.Contains(rel, `rel="next"`) {
			continue
		}
		if u, err := response.Request.URL.Parse(address); err == nil && u.Host == response.Request.URL.Host {
			return u.String()
		}
	}
	return ""
}
