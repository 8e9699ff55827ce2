package video

import (
	"bytes"
	"errors"
	"io"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/mp4"
)

// compressor is what the sample description calls the encoder.
const compressor = "openh264"

// ticks is the duration of a frame; the time scale is ticks times the frame rate.
const ticks = 1000

// track collects what the index of an .mp4 with one video track needs.
type track struct {
	sps, pps []byte
	sizes    []uint32 // bytes of each sample
	syncs    []uint32 // numbers of the key frames, from 1
}

// add takes a frame's access unit in Annex B form and returns it as a sample:
// length-prefixed and without the parameter sets, which go to the index.
func (t *track) add(unit []byte) ([]byte, error) {
	var sample []byte
	for _, nalu := range avc.ExtractNalusFromByteStream(unit) {
		switch avc.GetNaluType(nalu[0]) {
		case avc.NALU_SPS:
			if t.sps == nil {
				t.sps = bytes.Clone(nalu)
			}
			if !bytes.Equal(t.sps, nalu) {
				return nil, errors.New("the encoder changed its sequence parameters")
			}
			continue
		case avc.NALU_PPS:
			if t.pps == nil {
				t.pps = bytes.Clone(nalu)
			}
			if !bytes.Equal(t.pps, nalu) {
				return nil, errors.New("the encoder changed its picture parameters")
			}
			continue
		case avc.NALU_IDR:
			t.syncs = append(t.syncs, uint32(len(t.sizes)+1))
		}
		n := len(nalu)
		sample = append(sample, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		sample = append(sample, nalu...)
	}
	if len(sample) == 0 {
		return nil, errors.New("the encoder skipped the frame")
	}
	t.sizes = append(t.sizes, uint32(len(sample)))
	return sample, nil
}

// writeHeader writes all that precedes the samples: ftyp, moov and mdat's header.
func (t *track) writeHeader(w io.Writer, opts Options) error {
	moov, err := t.moov(opts)
	if err != nil {
		return err
	}
	var payload uint64
	for _, n := range t.sizes {
		payload += uint64(n)
	}
	mdat := &mp4.MdatBox{}
	mdat.SetLazyDataSize(payload)
	ftyp := mp4.NewFtyp("isom", 0x200, []string{"isom", "iso2", "avc1", "mp41"})
	moov.Trak.Mdia.Minf.Stbl.Stco.ChunkOffset = []uint32{
		uint32(ftyp.Size() + moov.Size() + mdat.HeaderSize())}

	for _, box := range []mp4.Box{ftyp, moov, mdat} {
		if err := box.Encode(w); err != nil {
			return err
		}
	}
	return nil
}

func (t *track) moov(opts Options) (*mp4.MoovBox, error) {
	timescale := uint32(ticks * opts.FPS)
	frames := uint32(len(t.sizes))
	duration := uint64(frames) * ticks

	mvhd := mp4.CreateMvhd()
	mvhd.Timescale = timescale
	mvhd.Duration = duration

	trak := mp4.CreateEmptyTrak(1, timescale, "video", "und")
	trak.Tkhd.Duration = duration
	trak.Mdia.Mdhd.Duration = duration
	if err := trak.SetAVCDescriptor("avc1", [][]byte{t.sps}, [][]byte{t.pps}, true); err != nil {
		return nil, err
	}
	stbl := trak.Mdia.Minf.Stbl
	stbl.Stsd.AvcX.CompressorName = compressor
	stbl.Stsd.AvcX.AddChild(&mp4.ColrBox{ // BT.709 in all three, as ISO/IEC 23091-2 numbers it
		ColorType:      mp4.ColorTypeOnScreenColors,
		ColorPrimaries: 1, TransferCharacteristics: 1, MatrixCoefficients: 1,
	})
	stbl.Stsd.AvcX.AddChild(&mp4.PaspBox{HSpacing: 1, VSpacing: 1})

	stbl.Stts.SampleCount = []uint32{frames}
	stbl.Stts.SampleTimeDelta = []uint32{ticks}
	if err := stbl.Stsc.AddEntry(1, frames, 1); err != nil {
		return nil, err
	}
	stbl.Stsz.SampleNumber = frames
	stbl.Stsz.SampleSize = t.sizes
	stbl.Stco.ChunkOffset = []uint32{0} // one chunk; writeHeader knows where it starts
	stbl.AddChild(&mp4.StssBox{SampleNumber: t.syncs})

	moov := mp4.NewMoovBox()
	moov.AddChild(mvhd)
	moov.AddChild(trak)
	return moov, nil
}
