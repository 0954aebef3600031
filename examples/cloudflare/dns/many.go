package dns

import (
	"context"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync"
)

// maxProblems is how many records an error of many changes names.
const maxProblems = 10

// AddMany dispatches the creation of each record, in a transaction of its own, so that one record that cannot be added
// keeps none of the others, and returns how many. The error names up to ten that could not be added.
func (m *Module) AddMany(ctx context.Context, list []Record, o nawasync.Options) (n int, err error) {
	return m.each(ctx, list, func(r Record) error {
		_, err := m.Records.Create(ctx, r, o)
		return err
	})
}

// EditMany dispatches a change of each row, as it was seen, and returns how many. Rows that have the values already are
// left out. The error names up to ten rows that could not be changed.
func (m *Module) EditMany(ctx context.Context, seen []Record, change func(*Record), o nawasync.Options) (n int, err error) {
	return m.each(ctx, seen, func(r Record) error {
		_, err := m.Records.Update(ctx, r, change, o)
		return err
	})
}

// DeleteMany dispatches the deletion of each row, as it was seen, and returns how many.
func (m *Module) DeleteMany(ctx context.Context, seen []Record, o nawasync.Options) (n int, err error) {
	return m.each(ctx, seen, func(r Record) error {
		_, err := m.Records.Delete(ctx, r, o)
		return err
	})
}

func (m *Module) each(ctx context.Context, seen []Record, do func(Record) error) (n int, err error) {
	var p problems
	for _, r := range seen {
		switch err := do(r); {
		case err == nil:
			n++
		case !errors.Is(err, nawasync.ErrUnchanged):
			p.add(r, err)
		}
		if ctx.Err() != nil {
			return n, errors.Join(p.err(), ctx.Err())
		}
	}
	return n, p.err()
}

// problems collects the records that could not be changed.
type problems struct {
	list []error
	more int
}

func (p *problems) add(r Record, err error) {
	if len(p.list) == maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, fmt.Errorf("%s %s: %w", r.Type, r.Name, err))
}

func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.list, fmt.Errorf("and %d more", p.more))...)
	}
	return errors.Join(p.list...)
}
