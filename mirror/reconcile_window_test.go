package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// orderedRemote lists the objects of each instance in an order of the test's own.
type orderedRemote struct {
	objects map[string][]plainGadget
	size    int // objects per page
}

var errListOnly = errors.New("this remote supports List only")

func (r *orderedRemote) List(_ context.Context, scope plainGadget, _ string) iter.Seq2[mirror.Page[plainGadget], error] {
	return func(yield func(mirror.Page[plainGadget], error) bool) {
		list := r.objects[scope.Instance]
		for page := range slices.Chunk(list, r.size) {
			if !yield(mirror.Page[plainGadget]{Items: page, Proof: mirror.Proof{Level: mirror.ProofCounted, Total: int64(len(list))}}, nil) {
				return
			}
		}
	}
}

func (*orderedRemote) Get(context.Context, plainGadget) (o mirror.Object[plainGadget], err error) {
	return o, errListOnly
}

func (*orderedRemote) Create(context.Context, plainGadget) (o mirror.Object[plainGadget], err error) {
	return o, errListOnly
}

func (*orderedRemote) Update(context.Context, mirror.Object[plainGadget], plainGadget, mirror.FieldDiff) (o mirror.Object[plainGadget], err error) {
	return o, errListOnly
}

func (*orderedRemote) Delete(context.Context, plainGadget) error { return errListOnly }

// A sync guesses which rows belong to the next objects of the listing. Whatever order the remote lists them
// in, it finds all rows, writes those that differ and no others.
func TestSyncFindsTheRowsInWhateverOrderTheRemoteListsThem(t *testing.T) {
	t.Parallel()
	const n = 3600
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the order does not have to be secret
	orders := map[string]func(list []plainGadget){
		"the same": func([]plainGadget) {},
		"reversed": slices.Reverse[[]plainGadget],
		"shuffled": func(list []plainGadget) {
			random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		},
		"halves exchanged": func(list []plainGadget) { slices.Reverse(list[:n/2]); slices.Reverse(list[n/2:]); slices.Reverse(list) },
		"shuffled in parts": func(list []plainGadget) {
			for part := range slices.Chunk(list, 100) {
				random.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
			}
		},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		createGadgets(t, h)
		remote := &orderedRemote{objects: map[string][]plainGadget{}, size: 700}
		engine := h.Engine(func(*nawasync.Config) {})
		repo, err := mirror.New(engine, mirror.Config[plainGadget]{Service: "shop", Type: "plain_gadget", Remote: remote, Settle: -1})
		enginetest.NoError(t, err)
		h.Start(engine)
		s := &shop{Harness: h, engine: engine}
		sync := func(instance string) nawasync.SyncResult {
			t.Helper()
			job, err := repo.SyncNow(t.Context(), plainGadget{Instance: instance}, "", byUser)
			enginetest.NoError(t, err)
			return resultOf(t, s.waitStatus(t, job, tracker.StatusSuccess))
		}
		for part := range 3 { // so that the rows of the two instances stand between one another
			for _, instance := range []string{"one", "two"} {
				for i := range n / 3 {
					number := part*n/3 + i
					remote.objects[instance] = append(
						remote.objects[instance],
						plainGadget{Instance: instance, Name: fmt.Sprintf("g%05d", number), QuotaMB: new(number), Used: int64(i)},
					)
				}
				if got := sync(instance); got.Created != n/3 || got.Unchanged != int64(part*n/3) {
					t.Fatalf("result of load %d of instance %s = %+v, want %d created", part, instance, got, n/3)
				}
			}
		}
		kept := slices.Clone(remote.objects["one"])
		for name, arrange := range orders {
			list := slices.Clone(kept)
			arrange(list)
			remote.objects["one"] = list
			if got := sync("one"); got.Unchanged != n || got.Created+got.Updated+got.Missing+got.InFlight != 0 {
				t.Errorf("order %s: result = %+v, want %d unchanged", name, got, n)
			}
			for i := range 10 { // content, and a value that no hash covers
				list[i*350].QuotaMB, list[i*350+7].Used = new(-1-i), int64(1_000_000+i)
			}
			list[13].QuotaMB = nil
			if got := sync("one"); got.Updated != 21 || got.Unchanged != n-21 || got.Missing != 0 {
				t.Errorf("order %s: result after 21 changes = %+v, want 21 updated and the rest unchanged", name, got)
			}
			equalToRemote(t, repo, list)
			remote.objects["one"] = kept
			sync("one")
		}
	})
}

// equalToRemote checks that the rows of an instance equal the objects.
func equalToRemote(t *testing.T, repo nawasync.SyncedRepository[plainGadget], objects []plainGadget) {
	t.Helper()
	rows := map[string]plainGadget{}
	for row, err := range repo.All(t.Context(), nawasync.Query{Where: map[string]any{"instance": objects[0].Instance}}) {
		enginetest.NoError(t, err)
		rows[row.Name] = row
	}
	if len(rows) != len(objects) {
		t.Errorf("%d rows, want %d", len(rows), len(objects))
	}
	for _, o := range objects {
		row := rows[o.Name]
		if (row.QuotaMB == nil) != (o.QuotaMB == nil) || row.QuotaMB != nil && *row.QuotaMB != *o.QuotaMB || row.Used != o.Used || !row.IsSynced() {
			t.Fatalf("row %+v, want the values of %+v", row, o)
		}
	}
}
