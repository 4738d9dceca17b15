//! Orders that others may fill: Seaport, `CoW` Protocol. What they offer counts in full, as if nothing came
//! back; their terms are an action besides, so that a rule has to allow the price.

use alloy_primitives::{Address, U256, address};
use countersign_core::{action::Effect, token::Asset};

use super::{
    Fields, Lasting, OnChainNonce, Scene, SignedAction, Table, Unfit, before, fields::Misnamed,
};

type Signed = Result<Vec<SignedAction>, Unfit>;

/// Seaport's versions at the addresses where they are deployed.
const SEAPORT: [(&str, Address); 4] = [
    ("1.1", address!("00000000006c3852cbEf3e08E8dF289169EdE581")),
    ("1.4", address!("00000000000001ad428e4906aE43D8F9852d0dD6")),
    ("1.5", address!("00000000000000ADc04C56Bf30aC9d3c0aAF14dC")),
    ("1.6", address!("0000000000000068F116a894984e2DB1123eB395")),
];

/// `CoW` Protocol's settlement, which verifies orders, and the contract that pulls what they sell.
const COW: Address = address!("9008D19f58AAbD9eD0D60971565AA8510560ab41");
const COW_RELAYER: Address = address!("C92E8bdf79f0507f65a392b0ab4667716BFE0110");

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

fn seaport(scene: Scene<'_>) -> Signed {
    let (version, _) =
        SEAPORT.iter().find(|(_, at)| *at == scene.contract).ok_or(Unfit::Unknown)?;
    scene.named("Seaport", Some(version))?;
    scene.owner("offerer")?;
    let end = scene.fields().number("endTime")?;
    let nonce = OnChainNonce::of_seaport(scene.contract, scene.data.message_hash());
    let lasting = Lasting { until: before(end), nonce: Some(nonce) };
    let mut actions = Vec::new();
    for item in scene.fields().list("offer")? {
        actions.push(SignedAction::new(offered(scene, item, end)?, lasting.clone()));
    }
    actions.push(scene.terms(lasting));
    Ok(actions)
}

/// What may leave: the larger of both ends of an auction.
fn offered(scene: Scene<'_>, item: Fields<'_>, end: U256) -> Result<Effect, Unfit> {
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
    let amount = item.number("startAmount")?.max(item.number("endAmount")?);
    Ok(Effect::Approve {
        unlimited: amount == U256::MAX || matches!(asset, Asset::Collection(_)),
        asset,
        owner: scene.wallet,
        spender: scene.contract,
        amount,
        deadline: Some(end),
    })
}

fn cow(scene: Scene<'_>) -> Signed {
    if scene.contract != COW {
        return Err(Unfit::Unknown);
    }
    scene.named("Gnosis Protocol", Some("v2"))?;
    let fields = scene.fields();
    let valid_to = fields.number("validTo")?;
    let amount = fields.number("sellAmount")?.saturating_add(fields.number("feeAmount")?);
    let effect = Effect::Approve {
        asset: Asset::Token(fields.address("sellToken")?),
        owner: scene.wallet,
        spender: COW_RELAYER,
        amount,
        unlimited: amount == U256::MAX,
        deadline: Some(valid_to),
    };
    let last = u32::try_from(valid_to).map_err(|_| Misnamed)?;
    let nonce = OnChainNonce::of_cow(COW, scene.data.digest(), scene.wallet, last);
    let lasting = Lasting { until: Some(last.into()), nonce: Some(nonce) };
    Ok(vec![SignedAction::new(effect, lasting.clone()), scene.terms(lasting)])
}
