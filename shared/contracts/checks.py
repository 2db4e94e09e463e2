"""Check digits of the numbers that the trade prints on cards and devices."""


def luhn_is_valid(digits: str) -> bool:
    """Whether the last digit is the Luhn digit of the others (ISO/IEC 7812-1, annex B)."""
    return digits.isascii() and digits.isdigit() and luhn_digit(digits[:-1]) == digits[-1]


def luhn_digit(digits: str) -> str:
    """The Luhn digit that makes `digits` a valid ICCID, IMEI or card number when appended."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        digit = ord(character) - 48
        if position % 2 == 0:
            digit *= 2
            if digit > 9:
                digit -= 9
        total += digit
    return str(-total % 10)


def eid_is_valid(eid: str) -> bool:
    """Whether the 32 digits of an EID leave 1 when divided by 97 (ISO 7064 MOD 97-10)."""
    return len(eid) == 32 and eid.isascii() and eid.isdigit() and int(eid) % 97 == 1


def eid_with_check(first_30_digits: str) -> str:
    """The 32 digits of the EID that begins with these 30."""
    return f"{first_30_digits}{98 - int(first_30_digits + '00') % 97:02d}"
