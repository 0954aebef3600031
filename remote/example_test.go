package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// A client makes its calls with a Remote, whose envelope knows what the answers of the API mean.
func Example() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `{"success":false,"errors":[{"code":81058,"message":"An identical record already exists."}]}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"success":true,"result":{"name":"www.example.com"}}`)
	}))
	defer api.Close()
	cloudflare, err := remote.New(remote.Config{
		Service: "cloudflare",
		Envelope: func(a *remote.Answer) error {
			var envelope struct {
				Success bool
				Result  json.RawMessage
				Errors  []struct {
					Code    int
					Message string
				}
			}
			if err := json.Unmarshal(a.Body, &envelope); err != nil {
				return errors.New("the answer is not JSON") // the class follows from the status
			}
			if !envelope.Success && len(envelope.Errors) > 0 && envelope.Errors[0].Code == 81058 {
				return fault.WithClass(fault.ClassAlreadyExists, errors.New(envelope.Errors[0].Message))
			}
			a.Data = envelope.Result
			return nil
		},
		Template: func(*http.Request) string { return "/zones/{zone}/dns_records" },
	})
	if err != nil {
		panic(err)
	}
	records := api.URL + "/zones/1/dns_records"
	var record struct{ Name string }
	_, err = cloudflare.Call(context.Background(), "my account", remote.Call{URL: records + "/7"}, &record)
	fmt.Println(record.Name, err)
	_, err = cloudflare.Call(context.Background(), "my account", remote.Call{URL: records, JSON: map[string]any{"name": "www"}}, nil)
	fmt.Println(fault.ClassOf(err))
	fmt.Println(err)
	// Output:
	// www.example.com <nil>
	// already_exists
	// cloudflare POST /zones/{zone}/dns_records: HTTP 400: An identical record already exists.
}

// A lost answer to a write is told from a call that was not sent.
func ExampleError() {
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	r, err := remote.New(remote.Config{Service: "whm"})
	if err != nil {
		panic(err)
	}
	write := remote.Call{Method: http.MethodPut, URL: api.URL}
	for range 2 {
		_, err = r.Call(context.Background(), "", write, nil)
		var call *remote.Error
		fmt.Println(fault.ClassOf(err), errors.As(err, &call) && call.Sent)
		api.Close()
	}
	// Output:
	// unknown_outcome true
	// transient false
}

// An SDK uses the client of a limit scope. Classify tells what its answers mean.
func ExampleRemote_Client() {
	api := httptest.NewServer(http.NotFoundHandler())
	defer api.Close()
	r, err := remote.New(remote.Config{Service: "dns"})
	if err != nil {
		panic(err)
	}
	resp, err := r.Client("my account").Get(api.URL + "/zones/7")
	if err != nil {
		panic(err)
	}
	fmt.Println(fault.ClassOf(r.Classify(resp)))
	// Output: gone
}

// Package oauth2 requests the access tokens.
func ExampleConfig_token() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `{"access_token":"abc","token_type":"Bearer","expires_in":60}`)
			return
		}
		_, _ = fmt.Fprintf(w, "%q", r.Header.Get("Authorization"))
	}))
	defer api.Close()
	credentials := clientcredentials.Config{ClientID: "nawasync", ClientSecret: "secret", TokenURL: api.URL + "/token", AuthStyle: oauth2.AuthStyleInHeader}
	r, err := remote.New(remote.Config{
		Service: "keycloak",
		Token:   func(ctx context.Context, _ string) (*oauth2.Token, error) { return credentials.Token(ctx) },
	})
	if err != nil {
		panic(err)
	}
	var sent string
	_, err = r.Call(context.Background(), "", remote.Call{URL: api.URL + "/users"}, &sent)
	fmt.Println(sent, err)
	// Output: Bearer abc <nil>
}

// An API whose pages have a number and tell how many there are.
func ExamplePagesByNumber() {
	list := remote.PagesByNumber("", func(number int) (remote.Page[string], error) {
		query := url.Values{"page": {strconv.Itoa(number)}} // of the call
		return remote.Page[string]{Items: []string{"record of page " + query.Get("page")}, Pages: 2, Total: new(int64(2))}, nil
	})
	for page, err := range list {
		fmt.Println(page.Items, page.Next, err)
	}
	// Output:
	// [record of page 1] 2 <nil>
	// [record of page 2]  <nil>
}

// An API that is asked for the objects from an offset on, and does not tell how many there are.
func ExamplePagesByOffset() {
	users := []string{"ann", "bob", "cyd"}
	list := remote.PagesByOffset("", func(offset int) (remote.Page[string], error) {
		return remote.Page[string]{Items: users[offset:min(offset+2, len(users))]}, nil
	})
	for page, err := range list {
		fmt.Println(page.Items, err)
	}
	// Output:
	// [ann bob] <nil>
	// [cyd] <nil>
	// [] <nil>
}

// An API whose answers name the next page.
func ExamplePagesByCursor() {
	list := remote.PagesByCursor("", func(cursor string) (remote.Page[string], error) {
		if cursor == "" {
			return remote.Page[string]{Items: []string{"ann"}, Next: "after-ann"}, nil
		}
		return remote.Page[string]{Items: []string{"bob"}}, nil
	})
	for page, err := range list {
		fmt.Println(page.Items, err)
	}
	// Output:
	// [ann] <nil>
	// [bob] <nil>
}

// Keycloak's update clears what it is not sent, so the whole document is sent.
func ExampleMerge() {
	document := json.RawMessage(`{"id":"7","firstName":"Ann","attributes":{"phone":["1"],"room":["4"]}}`)
	merged, err := remote.Merge(document, map[string]any{"firstName": "Anna", "/attributes/phone": []string{"2"}})
	fmt.Println(string(merged), err)
	// Output: {"attributes":{"phone":["2"],"room":["4"]},"firstName":"Anna","id":"7"} <nil>
}
