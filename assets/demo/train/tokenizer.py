"""The caption tokenizer: training of the small unigram model with UMT5's normaliser,
and the word-by-word encoder that training uses (pieces never cross a space)."""

import base64
import json
import os
import sys

import numpy as np

import world

LENGTH = 96  # ids of a caption in training, one place kept for the padding key


def build(folder, vocab=1600, seed=7):
    """Train the pieces and write them as tokenizer.json, with tokenizer_config.json beside it."""
    import pydoc_data.topics
    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as pb

    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(40):
        w = world.sample_worlds(rng, 500)
        lines += [world.caption(rng, w, i, rng.integers(len(world.MODES))) for i in range(500)]
    prose = [" ".join(t.split()) for text in pydoc_data.topics.topics.values() for t in text.split("\n\n")]
    lines += [t for t in prose if t.isascii() and 60 < len(t) < 800][:250]
    lines += [world.NEGATIVE] * 3000
    os.makedirs(folder, exist_ok=True)
    corpus, prefix = os.path.join(folder, "corpus.txt"), os.path.join(folder, "spiece")
    with open(corpus, "w") as f:
        f.write("\n".join(lines))
    spm.SentencePieceTrainer.train(
        input=corpus, model_prefix=prefix, model_type="unigram", vocab_size=vocab, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="nmt_nfkc", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        hard_vocab_limit=False, split_by_unicode_script=False, max_sentence_length=8192, num_threads=2)
    os.remove(corpus)
    os.remove(prefix + ".vocab")
    m = pb.ModelProto()
    m.ParseFromString(open(prefix + ".model", "rb").read())
    os.remove(prefix + ".model")
    special = lambda i, s: {"id": i, "content": s, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    fast = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [special(0, "<pad>"), special(1, "</s>"), special(2, "<unk>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(m.normalizer_spec.precompiled_charsmap).decode()},
            {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]},
        "pre_tokenizer": meta,
        "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
        "decoder": meta,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": [[p.piece, p.score] for p in m.pieces], "byte_fallback": True},
    }
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump(fast, f, ensure_ascii=False)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"backend": "tokenizers", "eos_token": "</s>", "model_max_length": 1000000000000000019884624838656,
                   "pad_token": "<pad>", "padding_side": "right", "tokenizer_class": "TokenizersBackend", "unk_token": "<unk>"}, f, indent=2)


class Words:
    """Encodes captions word by word with a cache; equal to encoding them whole."""

    def __init__(self, folder):
        from tokenizers import Tokenizer
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.cache = {}

    def ids(self, text):
        out = []
        for word in text.split():
            if word not in self.cache:
                self.cache[word] = self.tokenizer.encode(word, add_special_tokens=False).ids
            out += self.cache[word]
        return out + [1]

    def batch(self, texts):
        """ids [n, LENGTH] (0 behind the end) and lengths [n] < LENGTH."""
        ids = np.zeros((len(texts), LENGTH), np.int64)
        lengths = np.zeros(len(texts), np.int64)
        for i, text in enumerate(texts):
            row = self.ids(text)[:LENGTH - 1]
            ids[i, :len(row)], lengths[i] = row, len(row)
        return ids, lengths

    def __len__(self):
        return self.tokenizer.get_vocab_size()


if __name__ == "__main__":
    build(sys.argv[1])
