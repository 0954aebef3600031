package mirror

import (
	"fmt"
	"math"
	"reflect"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// preparer makes storable copies of listed objects. The batches of a listing must pass through one
// preparer in their order.
type preparer struct {
	repo  *repo
	scope reflect.Value

	instance string   // of the targets of the listed objects
	batch    int      // number of the batch
	page     int      // page of the last item
	known    keyIndex // keys of the batch; also of earlier batches of the same page
	places   []place  // where each of them is
	buffer   []byte   // for the texts of which hashes are made
}

// place says where a key was listed.
type place struct{ page, batch, index int }

// prepare fills in b.ready, b.unstorable and b.refused. It copies the items, because the originals
// belong to the remote.
func (p *preparer) prepare(b *listingBatch) {
	p.batch++
	if len(b.pages) == 0 || b.pages[0] != p.page {
		p.known.reset(len(b.items))
		p.places = p.places[:0]
	}
	if !b.rows.IsValid() || b.rows.Len() < len(b.items) {
		b.rows = reflect.MakeSlice(reflect.SliceOf(p.repo.model.schema.ModelType), len(b.items), len(b.items))
	}
	p.instance = p.repo.model.instance(p.scope)
	b.ready = make([]listedItem, 0, len(b.items))
	ambiguous := map[int]bool{} // indexes in b.ready
	for i, original := range b.items {
		it, refusal := p.item(b.rows.Index(i), original)
		if refusal != "" && it.value.IsValid() {
			b.refused, b.unstorable = append(b.refused, fmt.Sprintf("%.80q %s", p.repo.model.target(it.value), refusal)), append(b.unstorable, it)
			continue
		}
		if refusal != "" {
			b.refused, b.unkeyed = append(b.refused, fmt.Sprintf("object %d of the listing %s", b.firstNumber+int64(i), refusal)), b.unkeyed+1
			continue
		}
		if b.fields == nil {
			it.hash, p.buffer = p.repo.model.contentHashIn(p.buffer, it.value)
		}
		p.page = b.pages[i]
		earlier, known := place{}, false
		at, found := p.known.find(&it.key)
		if found {
			earlier, known = p.places[at], true
		}
		switch {
		case known && earlier.page == p.page: // the page does not say which of them is right
			b.refused = append(b.refused, fmt.Sprintf("object %d of the listing has the key %.80q, which another object of the same page has", b.firstNumber+int64(i),
				p.repo.model.target(it.value)))
			if earlier.batch == p.batch && p.repo.model.contentHash(it.value) != p.repo.model.contentHash(b.ready[earlier.index].value) {
				ambiguous[earlier.index] = true
			}
			continue
		case known && earlier.batch == p.batch: // the later page is more recent
			b.ready[earlier.index] = it
			p.places[at] = place{p.page, p.batch, earlier.index}
			continue
		}
		p.put(it.key, place{p.page, p.batch, len(b.ready)})
		b.ready = append(b.ready, it)
	}
	if len(ambiguous) > 0 {
		p.refuseAmbiguous(b, ambiguous)
	}
}

// refuseAmbiguous refuses the items whose key another, different object of the same page has.
func (p *preparer) refuseAmbiguous(b *listingBatch, ambiguous map[int]bool) {
	ready := b.ready
	b.ready = make([]listedItem, 0, len(ready))
	for i, it := range ready {
		if !ambiguous[i] {
			if at, known := p.known.find(&it.key); known {
				p.places[at] = place{p.places[at].page, p.batch, len(b.ready)}
			}
			b.ready = append(b.ready, it)
			continue
		}
		b.unstorable = append(b.unstorable, it)
		b.refused = append(b.refused, fmt.Sprintf("%.80q: the page has another, different object with this key", p.repo.model.target(it.value)))
	}
}

// put notes where a key is.
func (p *preparer) put(key tracker.Identity, at place) {
	if number, known := p.known.find(&key); known {
		p.places[number] = at
		return
	}
	p.known.add(&key)
	p.places = append(p.places, at)
}

// item makes value a storable copy of a listed object, or says why there is none.
func (p *preparer) item(value, original reflect.Value) (it listedItem, refusal string) {
	m := p.repo.model
	value.Set(original)
	for _, f := range m.scope {
		if f.value(value).IsZero() {
			f.value(value).Set(f.value(p.scope))
		}
	}
	m.normalise(value)
	for _, f := range m.scope {
		if !f.equal(value, p.scope) {
			return it, fmt.Sprintf("says that its %s is %.80q, and was listed for %.80q; List must return only objects of the scope",
				f.column, keyPart(f.value(value)), keyPart(f.value(p.scope)))
		}
		f.value(value).Set(f.value(p.scope))
	}
	target := nawasync.Target{Instance: p.instance, ID: targetText(value, m.key)}
	if err := p.repo.engine.CheckTarget(target); err != nil {
		return it, fmt.Sprintf("has the invalid key %.80q: %s", target.ID, err)
	}
	for _, f := range m.floats {
		if number := reflect.Indirect(f.value(value)); number.CanFloat() && (math.IsNaN(number.Float()) || math.IsInf(number.Float(), 0)) {
			return listedItem{value: value, key: m.keyIdentity(value)}, fmt.Sprintf("has the %s %v, which JSON and some databases do not have", f.column, number.Float())
		}
	}
	return listedItem{value: value, key: m.keyIdentity(value)}, ""
}
