// Package bitmap provides a compact set of row ids. A million consecutive ids take 125 kB.
package bitmap

import "math/bits"

const wordsPerChunk = 1024 // 64 Ki ids per chunk

// Bitmap is a set of ids. The zero value is empty and ready to use. It is not safe
// for concurrent use.
type Bitmap struct {
	chunks map[int64]*[wordsPerChunk]uint64
	count  int64
}

// Add adds id and reports whether the set did not contain it before.
func (b *Bitmap) Add(id int64) bool {
	if b.chunks == nil {
		b.chunks = map[int64]*[wordsPerChunk]uint64{}
	}
	chunk := b.chunks[id>>16]
	if chunk == nil {
		chunk = &[wordsPerChunk]uint64{}
		b.chunks[id>>16] = chunk
	}
	word, bit := &chunk[(id&0xffff)>>6], uint64(1)<<(id&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	b.count++
	return true
}

// Has reports whether id is in the set.
func (b *Bitmap) Has(id int64) bool {
	chunk := b.chunks[id>>16]
	return chunk != nil && chunk[(id&0xffff)>>6]&(uint64(1)<<(id&63)) != 0
}

// Len returns the number of ids.
func (b *Bitmap) Len() int64 { return b.count }

// All returns an iterator over the ids. The ids of a chunk are in ascending order; the chunks are
// in no particular order.
func (b *Bitmap) All() func(func(int64) bool) {
	return func(yield func(int64) bool) {
		for base, chunk := range b.chunks {
			for i, word := range chunk {
				for ; word != 0; word &= word - 1 {
					if !yield(base<<16 | int64(i<<6+bits.TrailingZeros64(word))) {
						return
					}
				}
			}
		}
	}
}
