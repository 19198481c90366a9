package crypto

import (
	"fmt"
	"math/big"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

// Sizes of the encodings: 32-byte big-endian integers, x before y, R before s.
const (
	WordBytes      = fr.Bytes
	PointBytes     = 2 * WordBytes
	MessageBytes   = MessageWords * WordBytes
	SignatureBytes = PointBytes + WordBytes
)

// DecodeWords reads consecutive elements and refuses values >= r.
func DecodeWords(buf []byte) ([]fr.Element, error) {
	if len(buf)%WordBytes != 0 {
		return nil, fmt.Errorf("crypto: %d bytes are not whole words", len(buf))
	}
	words := make([]fr.Element, len(buf)/WordBytes)
	for i := range words {
		if err := words[i].SetBytesCanonical(buf[i*WordBytes : (i+1)*WordBytes]); err != nil {
			return nil, fmt.Errorf("crypto: word %d: %w", i, err)
		}
	}
	return words, nil
}

// DecodeMessage reads the six words of a message.
func DecodeMessage(buf []byte) (msg [MessageWords]fr.Element, err error) {
	words, err := DecodeWords(buf)
	if err == nil && len(words) != MessageWords {
		err = fmt.Errorf("crypto: message of %d words, expected %d", len(words), MessageWords)
	}
	if err == nil {
		copy(msg[:], words)
	}
	return msg, err
}

// DecodePoint reads x and y and refuses values >= r; the point may be off the curve.
func DecodePoint(buf []byte) (te.PointAffine, error) {
	words, err := DecodeWords(buf)
	if err != nil || len(words) != 2 {
		return te.PointAffine{}, fmt.Errorf("crypto: not a point: %w", err)
	}
	return te.PointAffine{X: words[0], Y: words[1]}, nil
}

// EncodePoint writes x and y.
func EncodePoint(p *te.PointAffine) (out [PointBytes]byte) {
	fr.BigEndian.PutElement((*[WordBytes]byte)(out[:WordBytes]), p.X)
	fr.BigEndian.PutElement((*[WordBytes]byte)(out[WordBytes:]), p.Y)
	return out
}

// DecodeSignature reads R and s and refuses coordinates >= r; Verify checks the rest.
func DecodeSignature(buf []byte) (*Signature, error) {
	if len(buf) != SignatureBytes {
		return nil, fmt.Errorf("crypto: signature of %d bytes, expected %d", len(buf), SignatureBytes)
	}
	R, err := DecodePoint(buf[:PointBytes])
	if err != nil {
		return nil, err
	}
	return &Signature{R: R, S: new(big.Int).SetBytes(buf[PointBytes:])}, nil
}

// EncodeSignature writes R and s.
func EncodeSignature(sig *Signature) (out [SignatureBytes]byte) {
	point := EncodePoint(&sig.R)
	copy(out[:], point[:])
	sig.S.FillBytes(out[PointBytes:])
	return out
}

// VerifyEncoded verifies encoded values: words of the message >= r are an error of the caller, every other defect makes the signature invalid.
func VerifyEncoded(key, msg, sig []byte) (bool, error) {
	words, err := DecodeMessage(msg)
	if err != nil {
		return false, err
	}
	A, err := DecodePoint(key)
	if err != nil {
		return false, nil
	}
	signature, err := DecodeSignature(sig)
	if err != nil {
		return false, nil
	}
	return Verify(&A, words, signature), nil
}

// VerifyManyEncoded verifies signatures on all cores: one result for each.
func VerifyManyEncoded(keys, msgs, sigs []byte) ([]bool, error) {
	count := len(sigs) / SignatureBytes
	if len(sigs) != count*SignatureBytes || len(keys) != count*PointBytes || len(msgs) != count*MessageBytes {
		return nil, fmt.Errorf("crypto: %d bytes of keys, %d of messages, %d of signatures do not match", len(keys), len(msgs), len(sigs))
	}
	valid := make([]bool, count)
	var firstError atomic.Pointer[error]
	inChunks((count+verifyChunk-1)/verifyChunk, 1, func(chunk int) {
		first, end := chunk*verifyChunk, min((chunk+1)*verifyChunk, count)
		signed := make([]signedMessage, end-first)
		for i := range signed {
			if err := signed[i].decode(keys, msgs, sigs, first+i); err != nil {
				firstError.CompareAndSwap(nil, &err)
				return
			}
		}
		copy(valid[first:end], verifyTogether(signed))
	})
	if err := firstError.Load(); err != nil {
		return nil, *err
	}
	return valid, nil
}

// decode reads item i. Only words of the message that are no elements are an error.
func (s *signedMessage) decode(keys, msgs, sigs []byte, i int) error {
	message, err := DecodeMessage(msgs[i*MessageBytes : (i+1)*MessageBytes])
	if err != nil {
		return err
	}
	s.message = message
	key, keyErr := DecodePoint(keys[i*PointBytes : (i+1)*PointBytes])
	signature, signatureErr := DecodeSignature(sigs[i*SignatureBytes : (i+1)*SignatureBytes])
	if keyErr == nil && signatureErr == nil {
		s.key, s.signature = key, signature
	}
	return nil
}

// verifyChunk signatures are a worker's portion: their challenges are hashed side by side.
const verifyChunk = lanes

// inChunks calls work for 0 .. count - 1 on all cores, in any order, a worker taking so many items at a time. A panic in a worker is raised again in the caller.
func inChunks(count, chunk int, work func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), (count+chunk-1)/chunk)
	var next atomic.Int64
	run := func() {
		for {
			start := int(next.Add(int64(chunk))) - chunk
			if start >= count {
				return
			}
			for i := start; i < min(start+chunk, count); i++ {
				work(i)
			}
		}
	}
	if workers <= 1 {
		run()
		return
	}
	var group sync.WaitGroup
	var panicked atomic.Value
	for range workers {
		group.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panicked.CompareAndSwap(nil, fmt.Sprint(p))
				}
			}()
			run()
		})
	}
	group.Wait()
	if p := panicked.Load(); p != nil {
		panic(p)
	}
}
