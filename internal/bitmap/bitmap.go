// Package bitmap is a set of row ids that takes 125 kB for a million that follow
// each other.
package bitmap

import "math/bits"

const wordsPerChunk = 1024 // 64 Ki ids per chunk

// Bitmap is a set of ids. The zero value is empty and ready to use. It is not safe
// for concurrent use.
type Bitmap struct {
	chunks map[int64]*[wordsPerChunk]uint64
	count  int64
}

// Add adds id, and reports whether it was not there yet.
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

// Len is how many ids there are.
func (b *Bitmap) Len() int64 { return b.count }

// All yields the ids of one chunk after the other, each chunk's in order.
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
