"""Check digits of the numbers that the trade prints on cards and devices."""

# What a digit counts for where it is doubled: the digit sum of its double.
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")


def luhn_is_valid(digits: str) -> bool:
    """Whether the last digit is the Luhn digit of the others (ISO/IEC 7812-1, annex B)."""
    return digits.isascii() and digits.isdigit() and _luhn_sum(digits.encode()) % 10 == 0


def luhn_digit(digits: str) -> str:
    """The Luhn digit that makes `digits` a valid ICCID, IMEI or card number when appended."""
    return str(-_luhn_sum(digits.encode() + b"0") % 10)


def _luhn_sum(digits: bytes) -> int:
    """Every second digit from the right doubled. Sums of bytes: each message's numbers are checked by it."""
    plain, doubled = digits[::-2], digits[-2::-2]
    return sum(plain) + sum(doubled.translate(_DOUBLED)) - 48 * len(digits)


def eid_is_valid(eid: str) -> bool:
    """Whether the 32 digits of an EID leave 1 when divided by 97 (ISO 7064 MOD 97-10)."""
    return len(eid) == 32 and eid.isascii() and eid.isdigit() and int(eid) % 97 == 1


def eid_with_check(first_30_digits: str) -> str:
    """The 32 digits of the EID that begins with these 30."""
    return f"{first_30_digits}{98 - int(first_30_digits + '00') % 97:02d}"
