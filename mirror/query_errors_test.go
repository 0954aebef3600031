package mirror_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestQueriesThatAColumnCannotAnswerAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	table := newListedTable(t, testdb.SQLite(t))
	table.fill(rand.New(rand.NewPCG(1, 21)), 3)
	where := func(column string, value any) nawasync.Query {
		return nawasync.Query{Where: map[string]any{column: value}}
	}
	page, err := table.List(t.Context(), nawasync.Query{Sort: "name", Limit: 1})
	enginetest.NoError(t, err)
	for text, q := range map[string]nawasync.Query{
		`names "pass", a secret`: where("pass", "x"),
		"is hidden":              where("inner", "x"),
		"names column \"inner\", which is hidden": {Sort: "inner"},
		"does not have": where("nope", 1),
		"has whole numbers: the value is a string":     where("size", "5"),
		"has texts: the value is a int":                where("name", 5),
		"has true and false":                           where("active", 1),
		"has times: the value is a string":             where("since", "2026"),
		"does not fit into a int64":                    where("size", uint64(1<<63)),
		"use Query.Contains":                           where("tags", []string{"a"}),
		"the list of values is empty":                  where("name", []string{}),
		"the list has 1001 values":                     where("size", make([]int, 1001)),
		"the list has a nil":                           where("size", []*int64{nil}),
		"which has lists: a range has no meaning":      {From: map[string]any{"tags": "a"}},
		"has true and false: a range has no meaning":   {To: map[string]any{"active": true}},
		"only texts have a prefix":                     {Prefix: map[string]string{"size": "1"}},
		"has whole numbers: only lists contain values": {Contains: map[string]any{"size": 1}},
		"its lists have elements of type string":       {Contains: map[string]any{"tags": 1}},
		"lists are searched for texts":                 {Contains: map[string]any{"doc": []string{"a"}}},
		"the value is nil":                             {Contains: map[string]any{"tags": nil}},
		"such values have no order":                    {Sort: "tags"},
		"named twice":                                  {Sort: "name,-name"},
		"no two rows have the same id":                 {Sort: "id,name"},
		"the maximum is 5":                             {Sort: "name,kind,size,ratio,since,remark"},
		"From is not less than To":                     {From: map[string]any{"size": 5}, To: map[string]any{"size": 5}},
		"From equals To":                               {From: map[string]any{"kind": "a"}, To: map[string]any{"kind": "a"}},
		"Where selects rows without a value":           {Where: map[string]any{"size": nil}, From: map[string]any{"size": 5}},
		"no value of Where meets": {
			Where: map[string]any{"since": time.Unix(1, 0)}, From: map[string]any{"since": time.Unix(2, 0)},
		},
		"Query.After and Query.Before are both set": {After: page.Next, Before: page.Next, Sort: "name"},
		"no cursor that List returned":              {After: "rubbish"},
		"other conditions or another Sort":          {After: page.Next, Sort: "-name"},
		"cursor of a query with other conditions":   {Before: page.Next, Sort: "name", Where: map[string]any{"active": true}},
	} {
		_, err := table.List(t.Context(), q)
		if !errors.Is(err, nawasync.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: error %v, want ErrInvalid with %q", q, err, text)
		}
	}
}
