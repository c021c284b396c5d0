"""Device profiles: what a maker's document says about a family of devices, as data.

One TOML file a family (`resources/devices/*.toml`); `domain/profile_parsing.py` checks it and builds these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class ValueType(StrEnum):
    """How the words of a register make a number."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U48 = "u48"  # three words
    S48 = "s48"
    U64 = "u64"
    S64 = "s64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    SM16 = "sm16"  # sign and magnitude: top bit is the sign
    SM32 = "sm32"
    BCD16 = "bcd16"  # four decimal digits a word
    BCD32 = "bcd32"
    BCD48 = "bcd48"
    ASCII = "ascii"  # two characters a word, or one (see PointDef.chars_per_word)


class WordOrder(StrEnum):
    """Order of the words of one value."""

    HIGH_FIRST = "high_first"
    LOW_FIRST = "low_first"


class Evidence(StrEnum):
    """How well a fact is proven."""

    OFFICIAL = "official"  # the maker's document
    OEM = "oem"  # document of the twin product
    FIELD = "field"  # driver in use or tried on hardware
    INFERRED = "inferred"  # stated inference: plausibility check at commissioning
    SIMULATION = "simulation"  # no public table: never polled on a real line


class Priority(StrEnum):
    """How often a read group is due (own design; the intervals stand in `READ_INTERVALS_S`)."""

    LIVE = "live"  # every cycle
    MINUTE = "minute"  # once a minute
    SLOW = "slow"  # every ten minutes
    ONCE = "once"  # after each connect, and hourly (configuration, identity)


READ_INTERVALS_S: Mapping[Priority, float] = {
    Priority.LIVE: 0.0,
    Priority.MINUTE: 60.0,
    Priority.SLOW: 600.0,
    Priority.ONCE: 3600.0,
}


@dataclass(frozen=True, slots=True)
class ScaleStep:
    """One row of a scale rule: below `below` (None: otherwise) a count is worth `scale` units."""

    below: Fraction | None
    scale: Fraction


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """A scale read off another register, e.g. the decades of 4 120 45 by its CT ratio.

    Attributes:
        name: Name in the profile.
        points: Keys of the points whose scaled values are multiplied to give the selector.
        steps: In rising order of `below`, the last with None.
        source: Document.
    """

    name: str
    points: tuple[str, ...]
    steps: tuple[ScaleStep, ...]
    source: str


@dataclass(frozen=True, slots=True)
class PointDef:
    """One value of the device.

    Attributes:
        key: Unique in the profile; the quantity id where there is one, otherwise a name.
        quantity: Quantity id, None for auxiliary points (CT ratio, sign, identity, setting).
        label: The document's own words.
        address: Wire address of the first word (zero-based PDU address).
        document_register: The document's register number, as printed.
        words: Number of 16-bit words.
        value_type: How the words make a number.
        function_code: 1, 2, 3 or 4.
        scale: Base units of the quantity per count (V, A, W, Wh … already converted from the
            document's kW or MWh); None when unknown: quality stays PENDING until a person enters it.
        scale_rule: Name of the rule that gives the scale, if any (then `scale` is None).
        resolution: Base units per count kept for a float counter; None otherwise.
        sign_point: Key of a point read in the same request; non-zero means negative.
        pf_sign: True when the document's PF sign means inductive / capacitive rather than direction;
            decoding then takes |PF| with the sign of active power and yields `reactive_kind`.
        pf_follows_power: True when the document does not say what the PF sign means: decoding takes
            |PF| with the sign of active power, and says nothing about inductive or capacitive.
        bit_mask: Mask applied to the unsigned raw value, 0 for none.
        bit_shift: Right shift after the mask.
        states: For states: raw -> code kept.
        sentinels: Unsigned raw values (over all words) that mean "not available".
        valid_min: Lowest plausible value in base units, None for none.
        valid_max: Highest plausible value in base units, None for none.
        modulus: For counters: counts at which it rolls over to 0, None when unknown.
        group: Read group it belongs to; empty when it is documented but never polled (settings,
            commands, duplicates): planner and decoder pass over it, a simulated device answers it.
        atomic: Name of an atomic group: its points are read in one request. Empty for none.
        unit_offset: Added to the device's unit id (devices that take several addresses).
        is_writable: The document allows writing.
        writes: What writing does, in words.
        chars_per_word: For ASCII: 1 or 2.
        evidence: How well this row is proven.
        source: Ids of the documents.
        note: What else the document says.
    """

    key: str
    quantity: str | None
    label: str
    address: int
    document_register: str
    words: int
    value_type: ValueType
    function_code: int
    scale: Fraction | None
    group: str
    evidence: Evidence
    source: str
    scale_rule: str = ""
    resolution: Fraction | None = None
    sign_point: str = ""
    pf_sign: bool = False
    pf_follows_power: bool = False
    bit_mask: int = 0
    bit_shift: int = 0
    states: Mapping[int, int] | None = None
    sentinels: tuple[int, ...] = ()
    valid_min: float | None = None
    valid_max: float | None = None
    modulus: int | None = None
    atomic: str = ""
    unit_offset: int = 0
    is_writable: bool = False
    writes: str = ""
    chars_per_word: int = 2
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReadGroupDef:
    """A set of points read at the same rhythm."""

    name: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Registers a document says may be read, gaps between values included (first and last, wire addresses)."""

    function_code: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class IdentityDef:
    """Expected content of an identification point; `expected` empty means: only remember and compare."""

    point: str
    expected: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SerialDefaults:
    """Line settings the device has when it leaves the works."""

    baud: int
    parity: str  # none | even | odd
    stopbits: int


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One family of devices.

    Attributes:
        id: File name without `.toml`.
        maker: Maker.
        catalogue_numbers: As written on the product, e.g. `0 146 68`.
        family: As the wizard lists it.
        model: As the wizard lists it.
        source: Document and revision.
        sources: Document id -> title.
        evidence: Of the family as a whole.
        word_order: Default order of words.
        is_byte_swapped: Bytes within a word are swapped.
        serial: Defaults, None for Ethernet only.
        unit_id_default: From the document, None when not stated.
        max_registers: Most registers one read may ask for.
        needs_even_count: Only even counts may be asked for.
        readable: Ranges that may be read across gaps; () means only the points' own registers.
        pause_ms: Pause the device needs between requests.
        response_ms: Its response latency by the document (for predictions and time-outs).
        units: How many unit ids it takes.
        groups: Read groups.
        points: All points.
        scale_rules: By name.
        identity: What proves that it is this device.
        is_simulation_only: Evidence is `simulation`.
    """

    id: str
    maker: str
    catalogue_numbers: tuple[str, ...]
    family: str
    model: str
    source: str
    sources: Mapping[str, str]
    evidence: Evidence
    word_order: WordOrder
    is_byte_swapped: bool
    serial: SerialDefaults | None
    unit_id_default: int | None
    max_registers: int
    needs_even_count: bool
    readable: tuple[AddressRange, ...]
    pause_ms: int
    response_ms: int
    units: int
    groups: tuple[ReadGroupDef, ...]
    points: tuple[PointDef, ...]
    scale_rules: Mapping[str, ScaleRule]
    identity: tuple[IdentityDef, ...] = ()

    @property
    def is_simulation_only(self) -> bool:
        """No public register table: never polled on a real line."""
        return self.evidence is Evidence.SIMULATION

    def point(self, key: str) -> PointDef:
        """The point with this key.

        Raises:
            KeyError: The profile has none (a bug in the caller: parsing checked all references).
        """
        for candidate in self.points:
            if candidate.key == key:
                return candidate
        raise KeyError(key)
