// Package tokenizer turns a prompt into the ids that UMT5 was trained on: it
// cleans the text as the reference implementation does (Clean) and splits it
// with the unigram model of a Hugging Face tokenizer.json or a SentencePiece
// spiece.model (Open). Both files give the same ids.
//
// The pipeline is that of Hugging Face's tokenizers library, which the reference
// uses: added tokens are cut out, the rest is normalised, split in words at
// spaces, and each word is split by the most probable path over the vocabulary.
// What the file asks for and this package does not know is an error of Open,
// never a silent difference. A Tokenizer may be used by several goroutines.
package tokenizer
