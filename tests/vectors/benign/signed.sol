// SPDX-License-Identifier: Apache-2.0 OR MIT
// What takes signatures: each contract hashes a message as the one it stands for does, finds out who signed it, and does what was signed. As
// small as it can be, and without constructors, like the contracts beside it.
pragma solidity 0.8.37;

interface IMoney {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// What hashes and reads signatures in a domain of its own.
abstract contract Signed {
    function separator() public view virtual returns (bytes32);

    function signer(bytes32 message, bytes memory signature) internal view returns (address found) {
        require(signature.length == 65, "signature");
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        found = ecrecover(keccak256(abi.encodePacked("\x19\x01", separator(), message)), v, r, s);
        require(found != address(0), "signature");
    }

    function domain(string memory name, string memory version) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                block.chainid,
                address(this)
            )
        );
    }
}

/// A dollar whose permits allow everything or nothing.
contract Dai is Signed {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => uint256) public nonces;

    event Transfer(address indexed from, address indexed to, uint256 amount);
    event Approval(address indexed owner, address indexed spender, uint256 amount);

    function decimals() external pure returns (uint8) {
        return 18;
    }

    function separator() public view override returns (bytes32) {
        return domain("Dai Stablecoin", "1");
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        if (allowance[from][msg.sender] != type(uint256).max) allowance[from][msg.sender] -= amount;
        return move(from, to, amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function permit(
        address holder,
        address spender,
        uint256 nonce,
        uint256 expiry,
        bool allowed,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        require(nonce == nonces[holder]++ && (expiry == 0 || block.timestamp <= expiry), "old");
        bytes32 kind = keccak256("Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)");
        bytes32 message = keccak256(abi.encode(kind, holder, spender, nonce, expiry, allowed));
        require(signer(message, abi.encodePacked(r, s, v)) == holder, "holder");
        allowance[holder][spender] = allowed ? type(uint256).max : 0;
        emit Approval(holder, spender, allowance[holder][spender]);
    }

    function move(address from, address to, uint256 amount) internal returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
        return true;
    }
}

contract Permit2 is Signed {
    struct Details {
        address token;
        uint160 amount;
        uint48 expiration;
        uint48 nonce;
    }

    struct Single {
        Details details;
        address spender;
        uint256 sigDeadline;
    }

    struct Batch {
        Details[] details;
        address spender;
        uint256 sigDeadline;
    }

    struct Permissions {
        address token;
        uint256 amount;
    }

    struct Once {
        Permissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct OnceBatch {
        Permissions[] permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct Taking {
        address to;
        uint256 requestedAmount;
    }

    struct Move {
        address from;
        address to;
        uint160 amount;
        address token;
    }

    struct Pair {
        address token;
        address spender;
    }

    struct Allowed {
        uint160 amount;
        uint48 expiration;
        uint48 nonce;
    }

    mapping(address => mapping(address => mapping(address => Allowed))) public allowance;
    mapping(address => mapping(uint256 => uint256)) public nonceBitmap;

    event Approval(address indexed owner, address indexed token, address indexed spender, uint160 amount, uint48 end);
    event Permit(
        address indexed owner, address indexed token, address indexed spender, uint160 amount, uint48 end, uint48 nonce
    );
    event Lockdown(address indexed owner, address token, address spender);
    event NonceInvalidation(
        address indexed owner, address indexed token, address indexed spender, uint48 next, uint48 last
    );
    event UnorderedNonceInvalidation(address indexed owner, uint256 word, uint256 mask);

    bytes32 constant DETAILS = keccak256("PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)");
    bytes32 constant SINGLE = keccak256(
        "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
    );
    bytes32 constant BATCH = keccak256(
        "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
    );
    bytes32 constant PERMISSIONS = keccak256("TokenPermissions(address token,uint256 amount)");
    bytes32 constant ONCE = keccak256(
        "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
    );
    bytes32 constant ONCE_BATCH = keccak256(
        "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
    );

    function separator() public view override returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Permit2"), block.chainid, address(this)));
    }

    function approve(address token, address spender, uint160 amount, uint48 end) external {
        Allowed storage allowed = allowance[msg.sender][token][spender];
        (allowed.amount, allowed.expiration) = (amount, end);
        emit Approval(msg.sender, token, spender, amount, end);
    }

    function permit(address owner, Single memory single, bytes calldata signature) external {
        bytes32 message = keccak256(abi.encode(SINGLE, hash(single.details), single.spender, single.sigDeadline));
        signed(owner, message, single.sigDeadline, signature);
        allow(owner, single.spender, single.details);
    }

    function permit(address owner, Batch memory batch, bytes calldata signature) external {
        bytes memory details;
        for (uint256 i = 0; i < batch.details.length; i++) {
            details = abi.encodePacked(details, hash(batch.details[i]));
        }
        bytes32 message = keccak256(abi.encode(BATCH, keccak256(details), batch.spender, batch.sigDeadline));
        signed(owner, message, batch.sigDeadline, signature);
        for (uint256 i = 0; i < batch.details.length; i++) {
            allow(owner, batch.spender, batch.details[i]);
        }
    }

    function transferFrom(address from, address to, uint160 amount, address token) public {
        Allowed storage allowed = allowance[from][token][msg.sender];
        require(block.timestamp <= allowed.expiration, "expired");
        allowed.amount -= amount;
        IMoney(token).transferFrom(from, to, amount);
    }

    function transferFrom(Move[] calldata moves) external {
        for (uint256 i = 0; i < moves.length; i++) {
            transferFrom(moves[i].from, moves[i].to, moves[i].amount, moves[i].token);
        }
    }

    function lockdown(Pair[] calldata pairs) external {
        for (uint256 i = 0; i < pairs.length; i++) {
            allowance[msg.sender][pairs[i].token][pairs[i].spender].amount = 0;
            emit Lockdown(msg.sender, pairs[i].token, pairs[i].spender);
        }
    }

    function invalidateNonces(address token, address spender, uint48 next) external {
        Allowed storage allowed = allowance[msg.sender][token][spender];
        require(next > allowed.nonce, "nonce");
        emit NonceInvalidation(msg.sender, token, spender, next, allowed.nonce);
        allowed.nonce = next;
    }

    function invalidateUnorderedNonces(uint256 word, uint256 mask) external {
        nonceBitmap[msg.sender][word] |= mask;
        emit UnorderedNonceInvalidation(msg.sender, word, mask);
    }

    function permitTransferFrom(Once memory once, Taking calldata taking, address owner, bytes calldata signature)
        external
    {
        bytes32 message =
            keccak256(abi.encode(ONCE, hash(once.permitted), msg.sender, once.nonce, once.deadline));
        use(owner, once.nonce);
        signed(owner, message, once.deadline, signature);
        take(owner, once.permitted, taking);
    }

    function permitTransferFrom(
        OnceBatch memory once,
        Taking[] calldata takings,
        address owner,
        bytes calldata signature
    ) external {
        bytes memory permitted;
        for (uint256 i = 0; i < once.permitted.length; i++) {
            permitted = abi.encodePacked(permitted, hash(once.permitted[i]));
        }
        bytes32 message =
            keccak256(abi.encode(ONCE_BATCH, keccak256(permitted), msg.sender, once.nonce, once.deadline));
        use(owner, once.nonce);
        signed(owner, message, once.deadline, signature);
        for (uint256 i = 0; i < takings.length; i++) {
            take(owner, once.permitted[i], takings[i]);
        }
    }

    function permitWitnessTransferFrom(
        Once memory once,
        Taking calldata taking,
        address owner,
        bytes32 witness,
        string calldata rest,
        bytes calldata signature
    ) external {
        bytes32 kind = keccak256(
            abi.encodePacked(
                "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,",
                rest
            )
        );
        bytes32 message = keccak256(
            abi.encode(kind, hash(once.permitted), msg.sender, once.nonce, once.deadline, witness)
        );
        use(owner, once.nonce);
        signed(owner, message, once.deadline, signature);
        take(owner, once.permitted, taking);
    }

    function hash(Details memory details) internal pure returns (bytes32) {
        return keccak256(abi.encode(DETAILS, details));
    }

    function hash(Permissions memory permitted) internal pure returns (bytes32) {
        return keccak256(abi.encode(PERMISSIONS, permitted));
    }

    function signed(address owner, bytes32 message, uint256 deadline, bytes calldata signature) internal view {
        require(block.timestamp <= deadline, "deadline");
        require(signer(message, signature) == owner, "owner");
    }

    function allow(address owner, address spender, Details memory details) internal {
        Allowed storage allowed = allowance[owner][details.token][spender];
        require(allowed.nonce == details.nonce, "nonce");
        (allowed.amount, allowed.expiration, allowed.nonce) = (details.amount, details.expiration, details.nonce + 1);
        emit Permit(owner, details.token, spender, details.amount, details.expiration, details.nonce);
    }

    function use(address owner, uint256 nonce) internal {
        uint256 bit = 1 << (nonce & 255);
        require(nonceBitmap[owner][nonce >> 8] & bit == 0, "used");
        nonceBitmap[owner][nonce >> 8] |= bit;
    }

    function take(address owner, Permissions memory permitted, Taking calldata taking) internal {
        require(taking.requestedAmount <= permitted.amount, "amount");
        IMoney(permitted.token).transferFrom(owner, taking.to, taking.requestedAmount);
    }
}

/// Pays whom the witness of a signature names, as much as was signed for.
contract X402Exact {
    struct Witness {
        address to;
        uint256 validAfter;
    }

    Permit2 public constant PERMIT2 = Permit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    function settle(Permit2.Once calldata once, address owner, Witness calldata witness, bytes calldata signature)
        external
    {
        require(block.timestamp >= witness.validAfter, "early");
        bytes32 kind = keccak256("Witness(address to,uint256 validAfter)");
        PERMIT2.permitWitnessTransferFrom(
            once,
            Permit2.Taking(witness.to, once.permitted.amount),
            owner,
            keccak256(abi.encode(kind, witness)),
            "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)",
            signature
        );
    }
}

/// Pays whom the witness names, up to what was signed for; only the facilitator that it names may say how much.
contract X402UpTo {
    struct Witness {
        address to;
        address facilitator;
        uint256 validAfter;
    }

    Permit2 public constant PERMIT2 = Permit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    function settle(
        Permit2.Once calldata once,
        uint256 amount,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external {
        require(block.timestamp >= witness.validAfter && msg.sender == witness.facilitator, "witness");
        bytes32 kind = keccak256("Witness(address to,address facilitator,uint256 validAfter)");
        PERMIT2.permitWitnessTransferFrom(
            once,
            Permit2.Taking(witness.to, amount),
            owner,
            keccak256(abi.encode(kind, witness)),
            "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,address facilitator,uint256 validAfter)",
            signature
        );
    }
}

/// Fills an order of Uniswap's Dutch kind, simplified to what is sold, what is bought and for whom.
contract Reactor {
    struct Limit {
        address swapper;
        address output;
        uint256 least;
        address recipient;
    }

    Permit2 constant PERMIT2 = Permit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    function fill(Permit2.Once calldata once, Limit calldata order, bytes calldata signature) external {
        bytes32 kind = keccak256("LimitOrder(address swapper,address output,uint256 least,address recipient)");
        PERMIT2.permitWitnessTransferFrom(
            once,
            Permit2.Taking(msg.sender, once.permitted.amount),
            order.swapper,
            keccak256(abi.encode(kind, order)),
            "LimitOrder witness)LimitOrder(address swapper,address output,uint256 least,address recipient)TokenPermissions(address token,uint256 amount)",
            signature
        );
        IMoney(order.output).transferFrom(msg.sender, order.recipient, order.least);
    }
}

interface IItems {
    function transferFrom(address from, address to, uint256 id) external;
    function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes calldata data) external;
}

contract Seaport is Signed {
    struct Offered {
        uint8 itemType;
        address token;
        uint256 identifierOrCriteria;
        uint256 startAmount;
        uint256 endAmount;
    }

    struct Asked {
        uint8 itemType;
        address token;
        uint256 identifierOrCriteria;
        uint256 startAmount;
        uint256 endAmount;
        address recipient;
    }

    struct Components {
        address offerer;
        address zone;
        Offered[] offer;
        Asked[] consideration;
        uint8 orderType;
        uint256 startTime;
        uint256 endTime;
        bytes32 zoneHash;
        uint256 salt;
        bytes32 conduitKey;
        uint256 counter;
    }

    struct Parameters {
        address offerer;
        address zone;
        Offered[] offer;
        Asked[] consideration;
        uint8 orderType;
        uint256 startTime;
        uint256 endTime;
        bytes32 zoneHash;
        uint256 salt;
        bytes32 conduitKey;
        uint256 totalOriginalConsiderationItems;
    }

    struct Order {
        Parameters parameters;
        bytes signature;
    }

    mapping(address => uint256) public getCounter;
    mapping(bytes32 => bool) public over;

    event OrderFulfilled(bytes32 order, address indexed offerer, address fulfiller);
    event OrderCancelled(bytes32 order, address indexed offerer);
    event CounterIncremented(uint256 counter, address indexed offerer);

    bytes32 constant OFFERED = keccak256(
        "OfferItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount)"
    );
    bytes32 constant ASKED = keccak256(
        "ConsiderationItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount,address recipient)"
    );
    bytes32 constant ORDER = keccak256(
        "OrderComponents(address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,uint256 counter)ConsiderationItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount,address recipient)OfferItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount)"
    );

    function separator() public view override returns (bytes32) {
        return domain("Seaport", "1.6");
    }

    function fulfillOrder(Order calldata order, bytes32) external payable returns (bool) {
        Parameters calldata p = order.parameters;
        bytes32 hash = orderHash(p, getCounter[p.offerer]);
        require(!over[hash] && block.timestamp >= p.startTime && block.timestamp < p.endTime, "order");
        require(p.offerer == msg.sender || signer(hash, order.signature) == p.offerer, "offerer");
        over[hash] = true;
        for (uint256 i = 0; i < p.offer.length; i++) {
            Offered calldata item = p.offer[i];
            move(item.itemType, item.token, item.identifierOrCriteria, item.startAmount, p.offerer, msg.sender);
        }
        for (uint256 i = 0; i < p.consideration.length; i++) {
            Asked calldata item = p.consideration[i];
            move(item.itemType, item.token, item.identifierOrCriteria, item.startAmount, msg.sender, item.recipient);
        }
        emit OrderFulfilled(hash, p.offerer, msg.sender);
        return true;
    }

    function cancel(Components[] calldata orders) external returns (bool) {
        for (uint256 i = 0; i < orders.length; i++) {
            Components calldata c = orders[i];
            require(c.offerer == msg.sender, "offerer");
            bytes32 hash = keccak256(
                abi.encodePacked(
                    abi.encode(ORDER, c.offerer, c.zone, offers(c.offer), asks(c.consideration), c.orderType),
                    abi.encode(c.startTime, c.endTime, c.zoneHash, c.salt, c.conduitKey, c.counter)
                )
            );
            over[hash] = true;
            emit OrderCancelled(hash, msg.sender);
        }
        return true;
    }

    function incrementCounter() external returns (uint256) {
        emit CounterIncremented(++getCounter[msg.sender], msg.sender);
        return getCounter[msg.sender];
    }

    function orderHash(Parameters calldata p, uint256 counter) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                abi.encode(ORDER, p.offerer, p.zone, offers(p.offer), asks(p.consideration), p.orderType),
                abi.encode(p.startTime, p.endTime, p.zoneHash, p.salt, p.conduitKey, counter)
            )
        );
    }

    function offers(Offered[] calldata items) internal pure returns (bytes32) {
        bytes memory hashes;
        for (uint256 i = 0; i < items.length; i++) {
            hashes = abi.encodePacked(hashes, keccak256(abi.encode(OFFERED, items[i])));
        }
        return keccak256(hashes);
    }

    function asks(Asked[] calldata items) internal pure returns (bytes32) {
        bytes memory hashes;
        for (uint256 i = 0; i < items.length; i++) {
            hashes = abi.encodePacked(hashes, keccak256(abi.encode(ASKED, items[i])));
        }
        return keccak256(hashes);
    }

    function move(uint8 kind, address token, uint256 id, uint256 amount, address from, address to) internal {
        if (kind == 0) {
            (bool sent,) = to.call{value: amount}("");
            require(sent, "send");
        } else if (kind == 1) {
            IMoney(token).transferFrom(from, to, amount);
        } else if (kind == 2) {
            IItems(token).transferFrom(from, to, id);
        } else {
            IItems(token).safeTransferFrom(from, to, id, amount, "");
        }
    }
}

/// CoW's settlement, where one solver fills one order; it pulls by itself.
contract Settlement is Signed {
    struct Order {
        address sellToken;
        address buyToken;
        address receiver;
        uint256 sellAmount;
        uint256 buyAmount;
        uint32 validTo;
        bytes32 appData;
        uint256 feeAmount;
        string kind;
        bool partiallyFillable;
        string sellTokenBalance;
        string buyTokenBalance;
    }

    mapping(bytes => uint256) public filledAmount;
    mapping(bytes => bool) public preSignature;

    event Trade(address indexed owner, bytes orderUid);
    event PreSignature(address indexed owner, bytes orderUid, bool signed);
    event OrderInvalidated(address indexed owner, bytes orderUid);

    bytes32 constant ORDER = keccak256(
        "Order(address sellToken,address buyToken,address receiver,uint256 sellAmount,uint256 buyAmount,uint32 validTo,bytes32 appData,uint256 feeAmount,string kind,bool partiallyFillable,string sellTokenBalance,string buyTokenBalance)"
    );

    function separator() public view override returns (bytes32) {
        return domain("Gnosis Protocol", "v2");
    }

    function fill(Order calldata o, address owner, bytes calldata signature) external {
        bytes32 message = keccak256(
            abi.encodePacked(
                abi.encode(ORDER, o.sellToken, o.buyToken, o.receiver, o.sellAmount, o.buyAmount, o.validTo),
                abi.encode(o.appData, o.feeAmount, keccak256(bytes(o.kind)), o.partiallyFillable),
                abi.encode(keccak256(bytes(o.sellTokenBalance)), keccak256(bytes(o.buyTokenBalance)))
            )
        );
        bytes memory uid = abi.encodePacked(message, owner, o.validTo);
        require(block.timestamp <= o.validTo && filledAmount[uid] == 0, "order");
        require(signer(message, signature) == owner, "owner");
        filledAmount[uid] = o.sellAmount;
        IMoney(o.sellToken).transferFrom(owner, address(this), o.sellAmount + o.feeAmount);
        IMoney(o.buyToken).transferFrom(msg.sender, o.receiver == address(0) ? owner : o.receiver, o.buyAmount);
        emit Trade(owner, uid);
    }

    function setPreSignature(bytes calldata uid, bool signed) external {
        require(address(bytes20(uid[32:52])) == msg.sender, "owner");
        preSignature[uid] = signed;
        emit PreSignature(msg.sender, uid, signed);
    }

    function invalidateOrder(bytes calldata uid) external {
        require(address(bytes20(uid[32:52])) == msg.sender, "owner");
        filledAmount[uid] = type(uint256).max;
        emit OrderInvalidated(msg.sender, uid);
    }
}

/// A Safe of one owner, which is whoever sets it up.
contract Safe is Signed {
    address public owner;
    uint256 public nonce;

    event ExecutionSuccess(uint256 nonce);

    bytes32 constant TRANSACTION = keccak256(
        "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
    );

    function separator() public view override returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, block.chainid, address(this)));
    }

    function setup(address first) external {
        require(owner == address(0), "set up");
        owner = first;
    }

    function execTransaction(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address payable refundReceiver,
        bytes calldata signatures
    ) external payable {
        if (msg.sender != owner) {
            bytes memory head = abi.encode(TRANSACTION, to, value, keccak256(data), operation, safeTxGas, baseGas);
            bytes memory rest = abi.encode(gasPrice, gasToken, refundReceiver, nonce);
            require(signer(keccak256(abi.encodePacked(head, rest)), signatures) == owner, "owner");
        }
        bool done;
        if (operation == 0) (done,) = to.call{value: value}(data);
        else (done,) = to.delegatecall(data);
        require(done, "inner");
        emit ExecutionSuccess(nonce++);
    }

    receive() external payable {}
}

/// What a Safe delegates to in order to make several calls at once.
contract MultiSend {
    function multiSend(bytes calldata all) external payable {
        while (all.length > 0) {
            require(uint8(all[0]) == 0, "operation");
            uint256 length = uint256(bytes32(all[53:85]));
            (bool done,) =
                address(bytes20(all[1:21])).call{value: uint256(bytes32(all[21:53]))}(all[85:85 + length]);
            require(done, "inner");
            all = all[85 + length:];
        }
    }
}

/// ERC-4337's entry point of version 0.8, whose operations are typed data. Every account here has one owner: who signed its first operation.
contract EntryPoint8 is Signed {
    struct Operation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    mapping(address => address) public owners;
    mapping(address => uint256) public nonces;

    event UserOperationEvent(bytes32 operation, address indexed sender, uint256 nonce);

    bytes32 constant OPERATION = keccak256(
        "PackedUserOperation(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData)"
    );

    function separator() public view override returns (bytes32) {
        return domain("ERC4337", "1");
    }

    function setup(address account, address owner) external {
        require(owners[account] == address(0), "set up");
        owners[account] = owner;
    }

    function handleOps(Operation[] calldata operations, address payable) external {
        for (uint256 i = 0; i < operations.length; i++) {
            Operation calldata o = operations[i];
            require(o.nonce == nonces[o.sender]++, "nonce");
            bytes32 message = keccak256(
                abi.encodePacked(
                    abi.encode(OPERATION, o.sender, o.nonce, keccak256(o.initCode), keccak256(o.callData)),
                    abi.encode(o.accountGasLimits, o.preVerificationGas, o.gasFees, keccak256(o.paymasterAndData))
                )
            );
            require(signer(message, o.signature) == owners[o.sender], "owner");
            (bool done,) = o.sender.call(o.callData);
            require(done, "inner");
            emit UserOperationEvent(message, o.sender, o.nonce);
        }
    }
}
