package dns

import (
	"context"
	"iter"
	"slices"

	"github.com/nawasara/nawasync/examples/cloudflare/cfapi"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// records is the adapter of the DNS records.
type records struct{ tokens Tokens }

// recordOf returns the row of a record. The answer does not have the zone, so that the scope gives it.
func recordOf(scope Record, r cfapi.Record) Record {
	row := Record{
		Token: scope.Token, Account: scope.Account, Zone: scope.Zone, RID: r.ID, Name: r.Name, Type: r.Type, Content: r.Content,
		Proxied: r.Proxied, TTL: r.TTL, Priority: r.Priority, Tags: r.Tags, Proxiable: r.Proxiable, ModifiedOn: r.ModifiedOn,
	}
	if r.Comment != nil {
		row.Comment = *r.Comment
	}
	return row
}

func (r *records) List(ctx context.Context, scope Record, detail string) iter.Seq2[mirror.Page[Record], error] {
	return r.ListFrom(ctx, scope, detail, "")
}

// ListFrom goes on with the page whose number the cursor is.
func (r *records) ListFrom(ctx context.Context, scope Record, _, cursor string) iter.Seq2[mirror.Page[Record], error] {
	return func(yield func(mirror.Page[Record], error) bool) {
		client, err := r.tokens.client(scope.Token)
		if err != nil {
			yield(mirror.Page[Record]{}, err)
			return
		}
		for page, err := range client.Records(ctx, scope.Zone, cursor) {
			if !yield(pageOf(page, func(found cfapi.Record) Record { return recordOf(scope, found) }), err) || err != nil {
				return
			}
		}
	}
}

func (r *records) Get(ctx context.Context, key Record) (o mirror.Object[Record], err error) {
	client, err := r.tokens.client(key.Token)
	if err != nil {
		return o, err
	}
	var found cfapi.Record
	if key.RID == "" {
		found, err = client.FindRecord(ctx, key.Zone, key.Type, key.Name, key.Content)
	} else {
		found, err = client.Record(ctx, key.Zone, key.RID)
	}
	o.Value = recordOf(key, found)
	return o, err
}

func (r *records) Create(ctx context.Context, want Record) (o mirror.Object[Record], err error) {
	client, err := r.tokens.client(want.Token)
	if err != nil {
		return o, err
	}
	fields, err := fieldsOf(want, "name", "type", "content", "proxied", "ttl", "priority", "comment", "tags")
	if err != nil {
		return o, err
	}
	created, err := client.CreateRecord(ctx, want.Zone, fields)
	o.Value = recordOf(want, created)
	return o, err
}

// Update sends the changed fields only: a PATCH leaves the others as they are, above all comment and tags.
func (r *records) Update(ctx context.Context, current mirror.Object[Record], want Record, touched mirror.FieldDiff) (mirror.Object[Record], error) {
	client, err := r.tokens.client(want.Token)
	if err != nil {
		return current, err
	}
	var columns []string
	for _, change := range touched {
		columns = append(columns, change.Field)
	}
	if slices.ContainsFunc(grouped, touched.Has) {
		columns = append(columns, grouped...)
	}
	fields, err := fieldsOf(want, columns...)
	if err != nil {
		return current, err
	}
	edited, err := client.EditRecord(ctx, want.Zone, current.Value.RID, fields)
	return mirror.Object[Record]{Value: recordOf(want, edited)}, err
}

func (r *records) Delete(ctx context.Context, key Record) error {
	client, err := r.tokens.client(key.Token)
	if err != nil {
		return err
	}
	return client.DeleteRecord(ctx, key.Zone, key.RID)
}

// ScopeExists implements mirror.ScopeRemote: it asks for the zone itself, not for its records.
func (r *records) ScopeExists(ctx context.Context, scope Record) (bool, error) {
	client, err := r.tokens.client(scope.Token)
	if err != nil {
		return false, err
	}
	if _, err = client.Zone(ctx, scope.Zone); fault.ClassOf(err) == fault.ClassGone {
		return false, nil
	}
	return err == nil, err
}

// CheckCredentials implements mirror.CredentialRemote.
func (r *records) CheckCredentials(ctx context.Context, scope Record) error {
	return r.tokens.verify(ctx, scope.Token)
}
