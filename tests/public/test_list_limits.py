"""Lists of genes and of gene sets are small: a packed file cannot fill the memory."""

import gzip
import os
from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.public.files import MAXIMUM_LIST_BYTES, gene_list, read_public_file, text_of
from secgen_dsl.public.sets import gene_sets


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_a_large_list_is_refused(tmp_path: Path, packed: bool) -> None:
    data = b"#" * (MAXIMUM_LIST_BYTES + 1)
    (tmp_path / "list").write_bytes(gzip.compress(data) if packed else data)
    file = read_public_file(tmp_path, "list")
    for read in (gene_list, gene_sets):
        with pytest.raises(SecgenError, match=r"SG213 .* larger than 16 MB"):
            read(file)
    assert len(text_of(file)) == len(data)  # a table may be larger


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecgenError, match=r"SG213 .* not a file"):
        read_public_file(tmp_path, "pipe")
