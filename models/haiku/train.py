"""Trains the demo model: `python3 models/haiku/train.py`, with the packages of requirements.txt.

The grammar writes the text (corpus.ts, which needs Node 24), SentencePiece learns the vocabulary, and the
network learns to write what the grammar writes. One seed decides everything; one thread keeps the sums in
one order.
"""

import argparse
import hashlib
import json
import math
import random
import subprocess
import tempfile
import time
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor
from torch.nn import functional

from export import write_gguf
from network import Network, Shape

HERE = Path(__file__).parent
MARK = "<|poem|>"
# The line that names the subject is where the counting is; it weighs more than what surrounds it.
NAMING_WEIGHT = 3.0
# Of eight steps one shows whole conversations, so that the model knows a poem beyond the first.
CONVERSATION_EVERY = 8
REPORT_EVERY = 100

Example = tuple[list[int], list[int], list[float]]


def main() -> None:
    options = read_options()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    corpus = write_corpus(options.poems, options.seed)
    pieces = learn_vocabulary(corpus)
    examples = encode(corpus, pieces)
    network = Network(Shape())
    train(network, examples, options)
    write_gguf(options.out, network, pieces)
    digest = hashlib.sha256(options.out.read_bytes()).hexdigest()
    (options.out.with_suffix(".gguf.sha256")).write_text(f"{digest}  {options.out.name}\n")
    print(f"{options.out}: {options.out.stat().st_size} bytes, sha256 {digest}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains the demo model and writes it as GGUF.")
    parser.add_argument("--out", type=Path, default=HERE / "haiku.gguf")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--poems", type=int, default=300_000)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=64, help="poems in a step")
    parser.add_argument("--rate", type=float, default=2e-2, help="the embedding's learning rate")
    parser.add_argument("--muon-rate", type=float, default=0.02, help="that of the layers")
    return parser.parse_args()


def write_corpus(count: int, seed: int) -> list[tuple[str, str, int]]:
    command = ["node", str(HERE / "corpus.ts"), "--count", str(count), "--seed", str(seed)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf8").stdout
    return [tuple(json.loads(line)) for line in text.splitlines()]


def learn_vocabulary(corpus: list[tuple[str, str, int]]) -> sentencepiece.SentencePieceProcessor:
    """1 024 pieces: the bytes, so that any text has tokens, and the words of the grammar, most of them
    whole."""
    sentences = (line for prompt, poem, _ in corpus[:60_000] for line in (prompt, *poem.split("\n")))
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences,
            model_prefix=f"{folder}/pieces",
            model_type="bpe",
            vocab_size=Shape().vocabulary,
            byte_fallback=True,
            character_coverage=1.0,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            control_symbols=[MARK],
            num_threads=1,
            minloglevel=2,
        )
        return sentencepiece.SentencePieceProcessor(model_file=f"{folder}/pieces.model")


def encode(corpus: list[tuple[str, str, int]], pieces: sentencepiece.SentencePieceProcessor) -> list[Example]:
    mark, newline = pieces.piece_to_id(MARK), pieces.piece_to_id("<0x0A>")

    def example(prompt: str, poem: str, named: int) -> Example:
        ids, weights = [mark], [1.0]
        for at, line in enumerate(pieces.encode(poem.split("\n"))):
            ids += [*line, newline if at < 2 else pieces.eos_id()]
            weights += [NAMING_WEIGHT if at == named else 1.0] * (len(line) + 1)
        return [pieces.bos_id(), *pieces.encode(prompt)], ids, weights

    return [example(*entry) for entry in corpus]


def train(network: Network, examples: list[Example], options: argparse.Namespace) -> None:
    optimizers = optimizers_of(network, options)
    batches = batches_of(examples, options)
    started, recent = time.monotonic(), 0.0
    for step in range(options.steps):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = group["initial_lr"] * schedule(step, options.steps)
        ids, weights = next(batches)
        learned = weights[:, 1:] > 0
        logits = network(ids[:, :-1], learned)
        losses = functional.cross_entropy(logits, ids[:, 1:][learned], reduction="none")
        wanted = weights[:, 1:][learned]
        loss = (losses * wanted).sum() / wanted.sum()
        network.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        recent += loss.item() / REPORT_EVERY
        if step % REPORT_EVERY == REPORT_EVERY - 1:
            seconds = time.monotonic() - started
            print(f"step {step + 1}: loss {recent:.4f}, {seconds:.0f} s", flush=True)
            recent = 0.0


def optimizers_of(network: Network, options: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, which learn in half the steps that way; AdamW for all else."""
    matrices = [weight for weight in network.layers.parameters() if weight.dim() == 2]
    others = [weight for weight in network.parameters() if weight.dim() == 1] + [network.embedding.weight]
    muon = torch.optim.Muon(matrices, lr=options.muon_rate, weight_decay=0.01, momentum=0.95)
    adam = torch.optim.AdamW(others, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01)
    for group in muon.param_groups + adam.param_groups:
        group["initial_lr"] = group["lr"]
    return [muon, adam]


def schedule(step: int, steps: int) -> float:
    """A short climb, then half a cosine down to nothing."""
    return min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))


def batches_of(examples: list[Example], options: argparse.Namespace):
    """Endless batches of (ids, weights); a row is one prompt and poem, or a conversation of several."""
    shuffle = random.Random(options.seed)
    step = 0
    while True:
        # Neighbours in length share a batch, so that little of it is padding.
        by_length = sorted(range(len(examples)), key=lambda at: (length_of(examples[at]), shuffle.random()))
        starts = list(range(0, len(examples) - options.batch + 1, options.batch))
        shuffle.shuffle(starts)
        for start in starts:
            step += 1
            chosen = [examples[at] for at in by_length[start : start + options.batch]]
            if step % CONVERSATION_EVERY == 0:
                chosen = shuffle.sample(examples, options.batch)
            yield rows(chosen, Shape().context if step % CONVERSATION_EVERY == 0 else 0)


def length_of(example: Example) -> int:
    return len(example[0]) + len(example[1])


def rows(chosen: list[Example], limit: int) -> tuple[Tensor, Tensor]:
    """Lays the examples out in rows: one each, or as many after another as the limit takes."""
    laid: list[list[int]] = []
    weighed: list[list[float]] = []
    for prompt, poem, weights in chosen:
        if not laid or len(laid[-1]) + len(prompt) + len(poem) > limit:
            laid.append([])
            weighed.append([])
        laid[-1] += prompt + poem
        weighed[-1] += [0.0] * len(prompt) + weights
    length = max(map(len, laid))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in laid])
    return ids, torch.tensor([row + [0.0] * (length - len(row)) for row in weighed])


if __name__ == "__main__":
    main()
