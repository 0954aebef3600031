package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// gadgetMessage is the body of requests and responses between httpRemote and serveRemote. Unlike the
// JSON of a gadget, it includes the secret.
type gadgetMessage struct {
	Gadget   gadget      `json:"gadget"`
	Password string      `json:"password"`
	Touched  []string    `json:"touched"`
	Class    fault.Class `json:"class"`
	Error    string      `json:"error"`
}

// serveRemote serves a remote of this process over HTTP, for the httpRemote of a child process. It
// returns the URL.
func serveRemote(t *testing.T, m *gadgetRemote) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in, out gadgetMessage
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil { //nolint:musttag // the field names of a gadget are its JSON keys
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in.Gadget.Password = nawasync.NewSecret(in.Password)
		var o mirror.Object[gadget]
		var err error
		switch r.URL.Path {
		case "/get":
			o, err = m.Get(r.Context(), in.Gadget)
		case "/create":
			o, err = m.Create(r.Context(), in.Gadget)
		case "/update":
			var touched mirror.FieldDiff
			for _, column := range in.Touched {
				touched = append(touched, mirror.FieldChange{Field: column})
			}
			o, err = m.Update(r.Context(), mirror.Object[gadget]{}, in.Gadget, touched)
		case "/delete":
			err = m.Delete(r.Context(), in.Gadget)
		}
		out.Gadget = o.Value
		if err != nil {
			out.Class, out.Error = fault.ClassOf(err), err.Error()
		}
		_ = json.NewEncoder(w).Encode(out) //nolint:musttag // as above
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// httpRemote is a remote that runs in another process.
type httpRemote struct {
	url      string
	dieAfter string // the call after whose response the process kills itself; "" is none
}

func (d *httpRemote) call(ctx context.Context, name string, g gadget, touched []string) (o mirror.Object[gadget], err error) {
	body, err := json.Marshal(gadgetMessage{Gadget: g, Password: g.Password.Reveal(), Touched: touched}) //nolint:musttag // as above
	if err != nil {
		return o, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/"+name, bytes.NewReader(body))
	if err != nil {
		return o, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return o, err
	}
	defer resp.Body.Close()
	var out gadgetMessage
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil { //nolint:musttag // as above
		return o, err
	}
	if name == d.dieAfter {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if out.Error != "" {
		return o, fault.WithClass(out.Class, fmt.Errorf("%s", out.Error))
	}
	return mirror.Object[gadget]{Value: out.Gadget}, nil
}

func (d *httpRemote) Get(ctx context.Context, key gadget) (mirror.Object[gadget], error) {
	return d.call(ctx, "get", key, nil)
}

func (d *httpRemote) Create(ctx context.Context, want gadget) (mirror.Object[gadget], error) {
	return d.call(ctx, "create", want, nil)
}

func (d *httpRemote) Update(ctx context.Context, _ mirror.Object[gadget], want gadget, touched mirror.FieldDiff) (mirror.Object[gadget], error) {
	var columns []string
	for _, c := range touched {
		columns = append(columns, c.Field)
	}
	return d.call(ctx, "update", want, columns)
}

func (d *httpRemote) Delete(ctx context.Context, key gadget) error {
	_, err := d.call(ctx, "delete", key, nil)
	return err
}

func (d *httpRemote) List(context.Context, gadget, string) iter.Seq2[mirror.Page[gadget], error] {
	return func(func(mirror.Page[gadget], error) bool) {}
}
