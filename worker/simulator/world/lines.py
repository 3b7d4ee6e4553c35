"""What was sold: lines, shipping and fees, with their prices."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from worker.simulator.contract.refusals import Json
from worker.simulator.world.money import money
from worker.simulator.world.payments import new_id

#: The app id of Wix Stores. Documented.
STORES_APP = "215238eb-22a5-4c36-9e7b-e7c08025e04e"


@dataclass
class Line:
    """So many units of one thing."""

    price: Decimal
    """Of one unit, before tax."""
    quantity: int = 1
    tax: Decimal = Decimal(0)
    """Of the whole line."""
    id: str = field(default_factory=new_id)
    name: str = "Brazilian Arabica"
    item_type: str = "PHYSICAL"
    sku: str = "BA-500"
    app_id: str = STORES_APP
    """Only Wix Stores' own items can be restocked. W70."""
    locations: int = 1
    """At how many places its units lie."""
    restocked: int = 0
    extra: Json = field(default_factory=dict)
    """Laid over what getOrder shows."""

    @property
    def before_tax(self) -> Decimal:
        """All units, without tax."""
        return self.price * self.quantity

    def tax_of(self, units: int, step: Decimal) -> Decimal:
        """The tax on some of the units, to the cent."""
        return (self.tax * units / self.quantity).quantize(step) if self.tax else Decimal(0)

    def wire(self, currency: str, refunded: int) -> Json:
        """As getOrder shows it."""
        return {
            "id": self.id,
            "productName": {"original": self.name, "translated": self.name},
            "catalogReference": {"catalogItemId": self.id, "appId": self.app_id},
            "quantity": self.quantity,
            "itemType": {"preset": self.item_type},
            "physicalProperties": {"shippable": self.item_type == "PHYSICAL", "sku": self.sku},
            "price": money(self.price, currency),
            "totalPriceBeforeTax": money(self.before_tax, currency),
            "totalPriceAfterTax": money(self.before_tax + self.tax, currency),
            "refundQuantity": refunded,
            "restockQuantity": self.restocked,
            "paymentOption": "FULL_PAYMENT_ONLINE",
            **self.extra,
        }


@dataclass
class Fee:
    """An additional fee: gift wrap, deposit, ..."""

    amount: Decimal
    name: str = "Gift wrap"
    id: str = field(default_factory=new_id)

    def wire(self, currency: str) -> Json:
        """As getOrder shows it."""
        price = money(self.amount, currency)
        return {"id": self.id, "name": self.name, "price": price, "priceBeforeTax": price}
