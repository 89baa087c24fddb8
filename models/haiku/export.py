"""Writes a trained network and its vocabulary as the GGUF that llama.cpp loads: f16 weights, f32 norms."""

from pathlib import Path

import numpy
import sentencepiece
from gguf import GGUFWriter, LlamaFileType, TokenType

from network import Network

NAMES = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "forward_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}

# A user's message is the prompt, the mark starts the poem, </s> ends it. A system message has no place.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ bos_token + message['content'] | trim }}"
    "{%- elif message['role'] == 'assistant' -%}{{ '<|poem|>' + message['content'] | trim + eos_token }}"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|poem|>' }}{%- endif -%}"
)


def write_gguf(path: Path, network: Network, pieces: sentencepiece.SentencePieceProcessor) -> None:
    writer = GGUFWriter(path, "llama")
    describe(writer)
    shape = network.shape
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    add_vocabulary(writer, pieces)
    for name, weight in network.named_parameters():
        values = weight.detach().numpy()
        writer.add_tensor(tensor_name(name), values.astype(numpy.float16) if values.ndim == 2 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe(writer: GGUFWriter) -> None:
    writer.add_type("model")
    writer.add_name("Haiku")
    writer.add_author("llama-orch")
    writer.add_organization("llama-orch")
    writer.add_description("Writes 5-7-5 haiku about a given subject; the demo model of llama-orch.")
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "poetry"])
    writer.add_size_label("0.5M")


def add_vocabulary(writer: GGUFWriter, pieces: sentencepiece.SentencePieceProcessor) -> None:
    ids = range(pieces.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([pieces.id_to_piece(id).encode() for id in ids])
    writer.add_token_scores([pieces.get_score(id) for id in ids])
    writer.add_token_types([token_type(pieces, id) for id in ids])
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.eos_id())
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def token_type(pieces: sentencepiece.SentencePieceProcessor, id: int) -> TokenType:
    if pieces.is_unknown(id):
        return TokenType.UNKNOWN
    if pieces.is_control(id):
        return TokenType.CONTROL
    return TokenType.BYTE if pieces.is_byte(id) else TokenType.NORMAL


def tensor_name(name: str) -> str:
    if name == "embedding.weight":
        return "token_embd.weight"
    if name == "norm.weight":
        return "output_norm.weight"
    _, layer, part, _ = name.split(".")
    return f"blk.{layer}.{NAMES[part]}.weight"
