"""The items of an order: lines and additional fees, with their prices."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from worker.simulator.contract.refusals import Json
from worker.simulator.world.money import money
from worker.simulator.world.payments import new_id

#: The app id of Wix Stores (documented).
STORES_APP = "215238eb-22a5-4c36-9e7b-e7c08025e04e"


@dataclass
class Line:
    """One line of an order."""

    price: Decimal
    """The price of one unit, before tax."""
    quantity: int = 1
    tax: Decimal = Decimal(0)
    """The tax on all units together."""
    id: str = field(default_factory=new_id)
    name: str = "Brazilian Arabica"
    item_type: str = "PHYSICAL"
    sku: str = "BA-500"
    app_id: str = STORES_APP
    """Only items of Wix Stores can be restocked. W70."""
    locations: int = 1
    """The number of stock locations of its units."""
    restocked: int = 0
    extra: Json = field(default_factory=dict)
    """Fields that override those of the answer."""

    @property
    def before_tax(self) -> Decimal:
        """The price of all units, before tax."""
        return self.price * self.quantity

    def tax_of(self, units: int, step: Decimal) -> Decimal:
        """Return the tax on some of the units, rounded to *step*."""
        return (self.tax * units / self.quantity).quantize(step) if self.tax else Decimal(0)

    def wire(self, currency: str, refunded: int) -> Json:
        """Return the line as in the answer to getOrder."""
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
    """An additional fee, such as gift wrapping."""

    amount: Decimal
    name: str = "Gift wrap"
    id: str = field(default_factory=new_id)

    def wire(self, currency: str) -> Json:
        """Return the fee as in the answer to getOrder."""
        price = money(self.amount, currency)
        return {"id": self.id, "name": self.name, "price": price, "priceBeforeTax": price}
