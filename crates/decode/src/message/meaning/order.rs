//! Orders that others may fill: Seaport, `CoW` Protocol. What they offer is a transfer to the contract that
//! settles them, in full, as if nothing came back: an approval of that contract on the chain must not stand for
//! it. Their terms are an action besides, so that a rule has to allow the price.

use alloy_primitives::{Address, U256, address};
use countersign_core::{
    action::{Action, Effect},
    token::Asset,
};

use super::{Authority, Scene, Table, Unfit, before};
use crate::{message::probe, standard::Arguments};

type Signed = Result<Authority, Unfit>;

/// Seaport's versions at the addresses where they are deployed.
const SEAPORT: [(&str, Address); 4] = [
    ("1.1", address!("00000000006c3852cbEf3e08E8dF289169EdE581")),
    ("1.4", address!("00000000000001ad428e4906aE43D8F9852d0dD6")),
    ("1.5", address!("00000000000000ADc04C56Bf30aC9d3c0aAF14dC")),
    ("1.6", address!("0000000000000068F116a894984e2DB1123eB395")),
];

/// `CoW` Protocol's settlement, which verifies orders and gets what they sell.
const COW: Address = address!("9008D19f58AAbD9eD0D60971565AA8510560ab41");

pub(super) const TABLE: &Table = &[
    (
        "OrderComponents(address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,uint256 counter)ConsiderationItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount,address recipient)OfferItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount)",
        seaport,
    ),
    (
        "Order(address sellToken,address buyToken,address receiver,uint256 sellAmount,uint256 buyAmount,uint32 validTo,bytes32 appData,uint256 feeAmount,string kind,bool partiallyFillable,string sellTokenBalance,string buyTokenBalance)",
        cow,
    ),
];

impl Scene<'_> {
    fn sold(&self, asset: Asset, amount: U256) -> Effect {
        Effect::Transfer { asset, from: self.wallet, to: self.contract, amount }
    }

    /// The terms of an order, which takes nothing but what it offers.
    fn order_terms(&self) -> Action {
        Action { spends: Some(Vec::new()), ..self.terms() }
    }
}

fn seaport(scene: Scene<'_>) -> Signed {
    let (version, _) =
        SEAPORT.iter().find(|(_, at)| *at == scene.contract).ok_or(Unfit::Unknown)?;
    scene.named("Seaport", Some(version))?;
    scene.owner("offerer")?;
    let end = scene.fields().number("endTime")?;
    let nonce = probe::seaport_order(scene.contract, scene.data.message_hash());
    let offer = scene.fields().list("offer")?.map(|item| offered(scene, item));
    let effects = offer.collect::<Result<_, _>>()?;
    Ok(Authority::new(effects, before(end), Some(nonce)).and(scene.order_terms()))
}

/// What may leave: the larger of both ends of an auction.
fn offered(scene: Scene<'_>, item: Arguments<'_>) -> Result<Effect, Unfit> {
    let token = item.address("token")?;
    let id = item.number("identifierOrCriteria")?;
    let asset = match u8::try_from(item.number("itemType")?) {
        Ok(1) => Asset::Token(token),
        Ok(2 | 3) => Asset::Item { collection: token, id },
        // any item that the criteria allow, or any at all
        Ok(4 | 5) => Asset::Collection(token),
        // the chain's currency cannot be pulled
        Ok(_) | Err(_) => return Err(Unfit::Unknown),
    };
    Ok(scene.sold(asset, item.number("startAmount")?.max(item.number("endAmount")?)))
}

fn cow(scene: Scene<'_>) -> Signed {
    if scene.contract != COW {
        return Err(Unfit::Unknown);
    }
    scene.named("Gnosis Protocol", Some("v2"))?;
    let fields = scene.fields();
    let valid_to = fields.number("validTo")?;
    let amount = fields.number("sellAmount")?.saturating_add(fields.number("feeAmount")?);
    let sale = scene.sold(Asset::Token(fields.address("sellToken")?), amount);
    let last = u32::try_from(valid_to).map_err(|_| Unfit::Unknown)?;
    let nonce = probe::cow_order(COW, scene.data.digest(), scene.wallet, last);
    Ok(Authority::new(vec![sale], Some(last.into()), Some(nonce)).and(scene.order_terms()))
}
