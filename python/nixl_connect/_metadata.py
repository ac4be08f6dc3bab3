# SPDX-License-Identifier: Apache-2.0
"""What an exposing process hands to another: pydantic models whose JSON is that of
every generation of peers. Values; any thread. Metadata is a capability: whoever holds
it can reach the memory while the operation lasts.

Models of thousands of ranges take longer to make than the memory takes to move. So what
an operation or JSON gives stays in the extension module, and the descriptors are left
unread: one operation usually never looks at them."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from . import _native
from ._memory import indices_of
from ._unread import Unread, is_unread, leave_unread

if TYPE_CHECKING:
    from ._descriptor import Descriptor


_CONFIG = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
_MAX = 2**64 - 1
# In the dialect of JSON schemas too, which has no flag for the case of letters.
_DEVICE = r"^\s*([cC][pP][uU]\s*$|[cC][uU][dD][aA]|[xX][pP][uU])"


class SerializedDescriptor(BaseModel):
    """One exposed range: `ptr` is an address in the exposing process, `size` in bytes,
    `device` ``cpu``, ``cuda:N`` or ``xpu:N``."""

    model_config = _CONFIG

    device: Annotated[
        str,
        StringConstraints(strip_whitespace=True, to_lower=True, pattern=_DEVICE),
    ] = "cpu"
    ptr: Annotated[int, Field(ge=1, le=_MAX)] = 0
    size: Annotated[int, Field(ge=0, le=_MAX)] = 0

    def __call__(self) -> SerializedDescriptor:
        """Itself, for callers from the time when ``descriptor.metadata`` was a
        method."""
        return self

    def to_descriptor(self) -> Descriptor:
        """A Descriptor of that range. Its address means nothing in another process."""
        from ._descriptor import Descriptor

        return Descriptor.from_serialized(self)


class RdmaMetadata(Unread):
    """What the other side needs for begin_read() or begin_write(); travels as JSON.

    >>> text = readable.metadata().model_dump_json()
    >>> metadata = RdmaMetadata.model_validate_json(text)
    """

    model_config = _CONFIG
    # What the fields were made of, or what was made of them at first use, and for which
    # descriptors it stands: see remote_of().
    __slots__ = ("_native",)

    descriptors: list[SerializedDescriptor] = []  # noqa: RUF012, pydantic copies it
    nixl_metadata: str = ""
    notification_key: str = ""
    operation_kind: Annotated[int, Field(ge=1, le=2)] = 0

    if not TYPE_CHECKING:  # The signatures are BaseModel's.

        @classmethod
        @wraps(BaseModel.model_validate_json.__func__)
        def model_validate_json(cls, json_data, **options):
            if cls is RdmaMetadata and not options:
                remote = _native.Remote.read(json_data)
                if remote is not None:
                    return metadata_of(remote)
            try:
                return super().model_validate_json(json_data, **options)
            except ValidationError as error:
                raise _with_advice(error) from None

        @wraps(BaseModel.model_dump_json)
        def model_dump_json(self, **options):
            if is_unread(self) and not options:
                return self._native[0].to_json()
            return super().model_dump_json(**options)

    def to_descriptors(self) -> Descriptor | list[Descriptor]:
        """A Descriptor for each range; a single one comes without its list. ValueError
        if there is none."""
        if not self.descriptors:
            raise ValueError("the metadata names no descriptors")
        if len(self.descriptors) == 1:
            return self.descriptors[0].to_descriptor()
        return [each.to_descriptor() for each in self.descriptors]

    def pages(self, page_bytes: int, indices: Any) -> RemotePages:
        """Pages of what is named, by the reader's own numbers: page k is the
        `page_bytes` bytes at ``k * page_bytes`` of all descriptors in their order. So
        one metadata serves many operations.

        `indices`: a sequence or a one-dimensional integer array in host memory.
        ValueError for none at all, IndexError for a page outside.
        """
        remote = remote_of(self)
        return RemotePages(remote.pages(page_bytes, indices_of(indices)), self)


def _with_advice(error: ValidationError) -> ValidationError:
    """The same error; of text that is no JSON, mostly because its end is missing, with
    what to do."""
    first = error.errors(include_url=False)[0]
    if first["type"] != "json_invalid":
        return error
    advice = PydanticCustomError(
        "json_invalid",
        "Invalid JSON: {error}. This is no whole metadata; send all of the text that "
        "operation.metadata().model_dump_json() gives",
        first.get("ctx"),
    )
    return ValidationError.from_exception_data(
        error.title, [{"type": advice, "input": first["input"]}], "json"
    )


class RemotePages:
    """Some pages of a peer's memory, to be passed where RdmaMetadata is. They match one
    local descriptor of as many bytes, which gets them in their order, or several, each
    of which has the bytes of one page or of more."""

    __slots__ = ("_metadata", "_remote")

    def __init__(self, remote: _native.Remote, metadata: RdmaMetadata) -> None:
        self._remote = remote
        self._metadata = metadata

    @property
    def operation_kind(self) -> int:
        """That of the metadata."""
        return self._metadata.operation_kind

    @property
    def notification_key(self) -> str:
        """That of the metadata."""
        return self._metadata.notification_key

    @property
    def size(self) -> int:
        """Bytes of all pages."""
        return self._remote.size

    def __len__(self) -> int:
        return self._remote.page_count

    def __repr__(self) -> str:
        return f"RemotePages(pages={len(self)}, size={self.size})"

    def to_metadata(self) -> RdmaMetadata:
        """RdmaMetadata with a descriptor for each page, or piece of one, to be sent
        on."""
        return self._metadata.model_copy(
            update={"descriptors": serialized(self._remote.descriptors())}
        )


_LIST = TypeAdapter(list[SerializedDescriptor])


def serialized(ranges: list[tuple[str, int, int]]) -> list[SerializedDescriptor]:
    """Models of those ranges: (device, ptr, size)."""
    return _LIST.validate_python(
        [{"device": d, "ptr": p, "size": s} for d, p, s in ranges]
    )


def metadata_of(remote: _native.Remote) -> RdmaMetadata:
    """The model of `remote`, all of whose fields must be there; its descriptors are
    unread."""
    metadata = RdmaMetadata.model_construct(
        descriptors=[],
        nixl_metadata=remote.nixl_metadata,
        notification_key=remote.notification_key,
        operation_kind=remote.operation_kind,
    )
    object.__setattr__(metadata, "_native", (remote, []))
    leave_unread(metadata, "descriptors", _descriptors)
    return metadata


def _descriptors(metadata: RdmaMetadata) -> list[SerializedDescriptor]:
    remote, _ = object.__getattribute__(metadata, "_native")
    made = serialized(remote.descriptors())
    object.__setattr__(metadata, "_native", (remote, list(made)))
    return made


def remote_of(metadata: RdmaMetadata | RemotePages) -> _native.Remote:
    """The extension module's form of `metadata`, made once. ValueError if it lacks
    descriptors, nixl_metadata or a key."""
    if isinstance(metadata, RemotePages):
        return metadata._remote
    try:
        remote, made_of = object.__getattribute__(metadata, "_native")
        # A model is frozen, but its list is not.
        if is_unread(metadata) or made_of == metadata.descriptors:
            return remote  # type: ignore[no-any-return]
    except AttributeError:
        pass
    descriptors = metadata.descriptors
    for field in ("descriptors", "nixl_metadata", "notification_key"):
        if not getattr(metadata, field):
            raise ValueError(f"the metadata has no {field}")
    remote = _native.Remote.of(
        metadata.nixl_metadata,
        metadata.notification_key,
        metadata.operation_kind,
        descriptors,
    )
    object.__setattr__(metadata, "_native", (remote, list(descriptors)))
    return remote
