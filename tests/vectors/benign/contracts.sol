// SPDX-License-Identifier: Apache-2.0 OR MIT
// What honest agents call, as small as it can be: balances really move, and what is not paid for reverts. Nothing here has a constructor, so
// that the code can lie at any address. Anybody may mint.
pragma solidity 0.8.37;

interface IToken {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function mint(address to, uint256 amount) external;
    function burn(address from, uint256 amount) external;
}

contract Erc20 {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 amount);
    event Approval(address indexed owner, address indexed spender, uint256 amount);

    function decimals() external pure virtual returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function burn(address from, uint256 amount) external {
        balanceOf[from] -= amount;
        emit Transfer(from, address(0), amount);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        grant(msg.sender, spender, amount);
        return true;
    }

    function increaseAllowance(address spender, uint256 added) external returns (bool) {
        grant(msg.sender, spender, allowance[msg.sender][spender] + added);
        return true;
    }

    function decreaseAllowance(address spender, uint256 subtracted) external returns (bool) {
        grant(msg.sender, spender, allowance[msg.sender][spender] - subtracted);
        return true;
    }

    function increaseApproval(address spender, uint256 added) external returns (bool) {
        grant(msg.sender, spender, allowance[msg.sender][spender] + added);
        return true;
    }

    function decreaseApproval(address spender, uint256 subtracted) external returns (bool) {
        grant(msg.sender, spender, allowance[msg.sender][spender] - subtracted);
        return true;
    }

    function transferAndCall(address to, uint256 amount) external returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function transferAndCall(address to, uint256 amount, bytes calldata) external returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function approveAndCall(address spender, uint256 amount) external returns (bool) {
        grant(msg.sender, spender, amount);
        return true;
    }

    function send(address to, uint256 amount, bytes calldata) external {
        move(msg.sender, to, amount);
    }

    function grant(address owner, address spender, uint256 amount) internal {
        allowance[owner][spender] = amount;
        emit Approval(owner, spender, amount);
    }

    function move(address from, address to, uint256 amount) internal {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// A dollar with ERC-2612 and ERC-3009.
contract Dollar is Erc20 {
    string public constant name = "USD Coin";
    string public constant version = "2";
    mapping(address => uint256) public nonces;
    mapping(address => mapping(bytes32 => bool)) public authorizationState;

    bytes32 constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    bytes32 constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 constant CANCEL = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        bytes32 kind =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(
            abi.encode(kind, keccak256(bytes(name)), keccak256(bytes(version)), block.chainid, address(this))
        );
    }

    function signer(bytes32 message, bytes memory signature) internal view returns (address) {
        require(signature.length == 65, "signature");
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        address found = ecrecover(keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), message)), v, r, s);
        require(found != address(0), "signature");
        return found;
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        require(block.timestamp <= deadline, "deadline");
        bytes32 message = keccak256(abi.encode(PERMIT, owner, spender, value, nonces[owner]++, deadline));
        require(signer(message, abi.encodePacked(r, s, v)) == owner, "owner");
        grant(owner, spender, value);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        authorized(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        authorized(from, to, value, validAfter, validBefore, nonce, signature);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        require(to == msg.sender, "to");
        once(RECEIVE, from, to, value, validAfter, validBefore, nonce, signature);
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) external {
        require(!authorizationState[authorizer][nonce], "used");
        require(signer(keccak256(abi.encode(CANCEL, authorizer, nonce)), signature) == authorizer, "authorizer");
        authorizationState[authorizer][nonce] = true;
        emit AuthorizationCanceled(authorizer, nonce);
    }

    function authorized(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) internal {
        once(TRANSFER, from, to, value, validAfter, validBefore, nonce, signature);
    }

    function once(
        bytes32 kind,
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) internal {
        require(block.timestamp > validAfter && block.timestamp < validBefore, "time");
        require(!authorizationState[from][nonce], "used");
        authorizationState[from][nonce] = true;
        bytes32 message = keccak256(abi.encode(kind, from, to, value, validAfter, validBefore, nonce));
        require(signer(message, signature) == from, "from");
        move(from, to, value);
    }
}

contract Weth is Erc20 {
    function decimals() external pure override returns (uint8) {
        return 18;
    }

    receive() external payable {
        balanceOf[msg.sender] += msg.value;
    }

    function deposit() external payable {
        balanceOf[msg.sender] += msg.value;
    }

    function depositTo(address to) external payable {
        balanceOf[to] += msg.value;
    }

    function withdraw(uint256 amount) external {
        withdrawTo(payable(msg.sender), amount);
    }

    function withdrawTo(address payable to, uint256 amount) public {
        balanceOf[msg.sender] -= amount;
        (bool sent,) = to.call{value: amount}("");
        require(sent, "send");
    }
}

contract Items721 {
    mapping(uint256 => address) public ownerOf;
    mapping(uint256 => address) public getApproved;
    mapping(address => mapping(address => bool)) public isApprovedForAll;
    mapping(uint256 => uint256) public nonces;

    event Transfer(address indexed from, address indexed to, uint256 indexed id);
    event Approval(address indexed owner, address indexed spender, uint256 indexed id);
    event ApprovalForAll(address indexed owner, address indexed operator, bool approved);

    function mint(address to, uint256 id) external {
        require(ownerOf[id] == address(0), "owner");
        ownerOf[id] = to;
        emit Transfer(address(0), to, id);
    }

    function approve(address spender, uint256 id) external {
        require(ownerOf[id] == msg.sender, "owner");
        getApproved[id] = spender;
        emit Approval(msg.sender, spender, id);
    }

    function permit(address spender, uint256 id, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        require(block.timestamp <= deadline, "deadline");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Items"),
                keccak256("1"),
                block.chainid,
                address(this)
            )
        );
        bytes32 kind = keccak256("Permit(address spender,uint256 tokenId,uint256 nonce,uint256 deadline)");
        bytes32 message = keccak256(abi.encode(kind, spender, id, nonces[id]++, deadline));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", domain, message));
        require(ecrecover(digest, v, r, s) == ownerOf[id], "owner");
        getApproved[id] = spender;
        emit Approval(ownerOf[id], spender, id);
    }

    function setApprovalForAll(address operator, bool approved) external {
        isApprovedForAll[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    function transferFrom(address from, address to, uint256 id) public {
        require(ownerOf[id] == from, "owner");
        require(
            msg.sender == from || getApproved[id] == msg.sender || isApprovedForAll[from][msg.sender], "approved"
        );
        ownerOf[id] = to;
        getApproved[id] = address(0);
        emit Transfer(from, to, id);
    }

    function safeTransferFrom(address from, address to, uint256 id) external {
        transferFrom(from, to, id);
    }

    function safeTransferFrom(address from, address to, uint256 id, bytes calldata) external {
        transferFrom(from, to, id);
    }
}

contract Items1155 {
    mapping(address => mapping(uint256 => uint256)) public balances;
    mapping(address => mapping(address => bool)) public isApprovedForAll;

    event TransferSingle(address indexed by, address indexed from, address indexed to, uint256 id, uint256 amount);
    event ApprovalForAll(address indexed owner, address indexed operator, bool approved);

    function mint(address to, uint256 id, uint256 amount) external {
        balances[to][id] += amount;
    }

    function setApprovalForAll(address operator, bool approved) external {
        isApprovedForAll[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes calldata) public {
        require(msg.sender == from || isApprovedForAll[from][msg.sender], "approved");
        balances[from][id] -= amount;
        balances[to][id] += amount;
        emit TransferSingle(msg.sender, from, to, id, amount);
    }

    function safeBatchTransferFrom(
        address from,
        address to,
        uint256[] calldata ids,
        uint256[] calldata amounts,
        bytes calldata data
    ) external {
        for (uint256 i = 0; i < ids.length; i++) {
            safeTransferFrom(from, to, ids[i], amounts[i], data);
        }
    }
}

/// Swaps one for one, in base units.
contract Router2 {
    function swapExactTokensForTokens(uint256 paid, uint256, address[] calldata path, address to, uint256) external {
        IToken(path[0]).transferFrom(msg.sender, address(this), paid);
        IToken(path[path.length - 1]).mint(to, paid);
    }

    function swapTokensForExactTokens(uint256 got, uint256 most, address[] calldata path, address to, uint256)
        external
    {
        require(got <= most, "most");
        IToken(path[0]).transferFrom(msg.sender, address(this), got);
        IToken(path[path.length - 1]).mint(to, got);
    }

    function swapExactETHForTokens(uint256 least, address[] calldata path, address to, uint256) external payable {
        require(msg.value > 0, "value");
        IToken(path[path.length - 1]).mint(to, least);
    }

    function swapExactTokensForETH(uint256 paid, uint256 least, address[] calldata path, address to, uint256)
        external
    {
        IToken(path[0]).transferFrom(msg.sender, address(this), paid);
        (bool sent,) = to.call{value: least}("");
        require(sent, "send");
    }

    function swapExactTokensForTokensSupportingFeeOnTransferTokens(
        uint256 paid,
        uint256,
        address[] calldata path,
        address to,
        uint256
    ) external {
        IToken(path[0]).transferFrom(msg.sender, address(this), paid);
        IToken(path[path.length - 1]).mint(to, paid);
    }

    function swapETHForExactTokens(uint256 got, address[] calldata path, address to, uint256) external payable {
        require(msg.value > 0, "value");
        IToken(path[path.length - 1]).mint(to, got);
    }

    function swapTokensForExactETH(uint256 got, uint256 most, address[] calldata path, address to, uint256) external {
        IToken(path[0]).transferFrom(msg.sender, address(this), most);
        (bool sent,) = to.call{value: got}("");
        require(sent, "send");
    }

    function addLiquidityETH(address token, uint256 amount, uint256, uint256, address, uint256) external payable {
        require(msg.value > 0, "value");
        IToken(token).transferFrom(msg.sender, address(this), amount);
    }

    function removeLiquidityETH(address token, uint256 amount, uint256, uint256 least, address to, uint256) external {
        IToken(token).transfer(to, amount);
        (bool sent,) = to.call{value: least}("");
        require(sent, "send");
    }

    function addLiquidity(
        address a,
        address b,
        uint256 ofA,
        uint256 ofB,
        uint256,
        uint256,
        address,
        uint256
    ) external {
        IToken(a).transferFrom(msg.sender, address(this), ofA);
        IToken(b).transferFrom(msg.sender, address(this), ofB);
    }

    function removeLiquidity(address a, address b, uint256 amount, uint256, uint256, address to, uint256) external {
        IToken(a).transfer(to, amount);
        IToken(b).transfer(to, amount);
    }
}

contract Router3 {
    struct Single {
        address tokenIn;
        address tokenOut;
        uint24 fee;
        address recipient;
        uint256 amountIn;
        uint256 amountOutMinimum;
        uint160 limit;
    }

    struct Out {
        address tokenIn;
        address tokenOut;
        uint24 fee;
        address recipient;
        uint256 amountOut;
        uint256 amountInMaximum;
        uint160 limit;
    }

    struct Path {
        bytes path;
        address recipient;
        uint256 amountIn;
        uint256 amountOutMinimum;
    }

    function swap(address from, address to, uint256 amount, address recipient) internal {
        if (msg.value < amount) IToken(from).transferFrom(msg.sender, address(this), amount);
        IToken(to).mint(recipient == address(2) ? address(this) : recipient, amount);
    }

    struct Dated {
        address tokenIn;
        address tokenOut;
        uint24 fee;
        address recipient;
        uint256 deadline;
        uint256 amountIn;
        uint256 amountOutMinimum;
        uint160 limit;
    }

    struct PathOut {
        bytes path;
        address recipient;
        uint256 amountOut;
        uint256 amountInMaximum;
    }

    function exactInputSingle(Dated calldata p) external payable {
        require(block.timestamp <= p.deadline, "deadline");
        swap(p.tokenIn, p.tokenOut, p.amountIn, p.recipient);
    }

    function exactOutput(PathOut calldata p) external payable {
        require(p.amountOut <= p.amountInMaximum, "most");
        // such a path begins with what comes out
        swap(address(bytes20(p.path[p.path.length - 20:])), address(bytes20(p.path[:20])), p.amountOut, p.recipient);
    }

    function swapExactTokensForTokens(uint256 paid, uint256, address[] calldata path, address to) external payable {
        swap(path[0], path[path.length - 1], paid, to);
    }

    function exactInputSingle(Single calldata p) external payable {
        swap(p.tokenIn, p.tokenOut, p.amountIn, p.recipient);
    }

    function exactOutputSingle(Out calldata p) external payable {
        require(p.amountOut <= p.amountInMaximum, "most");
        swap(p.tokenIn, p.tokenOut, p.amountOut, p.recipient);
    }

    function exactInput(Path calldata p) external payable {
        bytes calldata path = p.path;
        address from = address(bytes20(path[:20]));
        address to = address(bytes20(path[path.length - 20:]));
        swap(from, to, p.amountIn, p.recipient);
    }

    function sweepToken(address token, uint256 least, address to) external payable {
        IToken(token).transfer(to, least);
    }

    function refundETH() external payable {}

    function multicall(bytes[] calldata calls) public payable {
        for (uint256 i = 0; i < calls.length; i++) {
            (bool done,) = address(this).delegatecall(calls[i]);
            require(done, "inner");
        }
    }

    function multicall(uint256 deadline, bytes[] calldata calls) external payable {
        require(block.timestamp <= deadline, "deadline");
        multicall(calls);
    }
}

/// An aggregator that finds one for one, and pays in euros where nobody says in what.
contract Aggregator {
    address constant EURO = 0xbe00000000000000000000000000000000000001;

    struct Swap {
        address srcToken;
        address dstToken;
        address srcReceiver;
        address dstReceiver;
        uint256 amount;
        uint256 minReturnAmount;
        uint256 flags;
    }

    struct Order {
        uint256 salt;
        uint256 maker;
        uint256 receiver;
        uint256 makerAsset;
        uint256 takerAsset;
        uint256 makingAmount;
        uint256 takingAmount;
        uint256 makerTraits;
    }

    event OrderCancelled(bytes32 order);

    function swap(address, Swap calldata desc, bytes calldata) external payable {
        trade(desc.srcToken, desc.dstToken, desc.amount, desc.dstReceiver);
    }

    function unoswap(uint256 token, uint256 amount, uint256, uint256) external {
        trade(address(uint160(token)), EURO, amount, msg.sender);
    }

    function unoswap2(uint256 token, uint256 amount, uint256, uint256, uint256) external {
        trade(address(uint160(token)), EURO, amount, msg.sender);
    }

    function unoswap(address token, uint256 amount, uint256, uint256[] calldata) external payable {
        trade(token, EURO, amount, msg.sender);
    }

    function ethUnoswap(uint256 least, uint256) external payable {
        require(msg.value > 0, "value");
        IToken(EURO).mint(msg.sender, least);
    }

    function fillOrder(Order calldata order, bytes32, bytes32, uint256 amount, uint256) external payable {
        trade(address(uint160(order.takerAsset)), address(uint160(order.makerAsset)), amount, msg.sender);
    }

    function cancelOrder(uint256, bytes32 order) external {
        emit OrderCancelled(order);
    }

    function trade(address from, address to, uint256 amount, address recipient) internal {
        IToken(from).transferFrom(msg.sender, address(this), amount);
        IToken(to).mint(recipient, amount);
    }
}

interface IPermit2 {
    function transferFrom(address from, address to, uint160 amount, address token) external;
}

/// Version 2's commands, swapping one for one; what the caller pays comes over Permit2.
contract Universal {
    IPermit2 constant PERMIT2 = IPermit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);
    address constant WETH = 0xBE00000000000000000000000000000000000002;

    event Swapped(address from, address to, uint256 amount);

    function execute(bytes calldata commands, bytes[] calldata inputs, uint256 deadline) external payable {
        require(block.timestamp <= deadline, "deadline");
        execute(commands, inputs);
    }

    function execute(bytes calldata commands, bytes[] calldata inputs) public payable {
        for (uint256 i = 0; i < commands.length; i++) step(uint8(commands[i]), inputs[i]);
    }

    function step(uint8 command, bytes calldata input) internal {
        if (command < 2) {
            (address to, uint256 amount,, bytes memory path, bool pays) =
                abi.decode(input, (address, uint256, uint256, bytes, bool));
            (address first, address last) = ends(path);
            if (command == 0) swap(first, last, amount, to, pays);
            else swap(last, first, amount, to, pays);
        } else if (command == 4) {
            (address token, address to, uint256 least) = abi.decode(input, (address, address, uint256));
            IToken(token).transfer(meant(to), least);
        } else if (command == 8 || command == 9) {
            (address to, uint256 amount,, address[] memory path, bool pays) =
                abi.decode(input, (address, uint256, uint256, address[], bool));
            swap(path[0], path[path.length - 1], amount, to, pays);
        } else if (command == 11) {
            (address to,) = abi.decode(input, (address, uint256));
            IToken(WETH).mint(meant(to), msg.value);
        } else {
            require(command == 12, "command");
            (address to, uint256 least) = abi.decode(input, (address, uint256));
            IToken(WETH).burn(address(this), least);
            (bool sent,) = meant(to).call{value: least}("");
            require(sent, "send");
        }
    }

    function swap(address from, address to, uint256 amount, address recipient, bool pays) internal {
        if (pays) PERMIT2.transferFrom(msg.sender, address(this), uint160(amount), from);
        else IToken(from).burn(address(this), amount);
        IToken(to).mint(meant(recipient), amount);
        emit Swapped(from, to, amount);
    }

    function ends(bytes memory path) internal pure returns (address first, address last) {
        assembly {
            first := shr(96, mload(add(path, 32)))
            last := shr(96, mload(add(path, add(12, mload(path)))))
        }
    }

    function meant(address to) internal view returns (address) {
        return to == address(1) ? msg.sender : to == address(2) ? address(this) : to;
    }

    receive() external payable {}
}

contract Pool {
    function supply(address asset, uint256 amount, address, uint16) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    function withdraw(address asset, uint256 amount, address to) external {
        IToken(asset).transfer(to, amount);
    }

    function borrow(address asset, uint256 amount, uint256, uint16, address) external {
        IToken(asset).mint(msg.sender, amount);
    }

    function repay(address asset, uint256 amount, uint256, address) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    event Set(address indexed user, bytes4 what);

    function deposit(address asset, uint256 amount, address, uint16) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    function repayWithATokens(address, uint256, uint256) external {
        emit Set(msg.sender, msg.sig);
    }

    function swapBorrowRateMode(address, uint256) external {
        emit Set(msg.sender, msg.sig);
    }

    function setUserUseReserveAsCollateral(address, bool) external {
        emit Set(msg.sender, msg.sig);
    }

    function setUserEMode(uint8) external {
        emit Set(msg.sender, msg.sig);
    }
}

contract Market {
    function supply(address asset, uint256 amount) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    function withdraw(address asset, uint256 amount) external {
        IToken(asset).transfer(msg.sender, amount);
    }

    function withdrawTo(address to, address asset, uint256 amount) external {
        IToken(asset).transfer(to, amount);
    }

    function supplyTo(address, address asset, uint256 amount) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    event Allowed(address indexed owner, address indexed manager, bool allowed);

    function transferAsset(address to, address asset, uint256 amount) external {
        IToken(asset).mint(to, amount);
    }

    function withdrawFrom(address from, address to, address asset, uint256 amount) external {
        require(from == msg.sender, "from");
        IToken(asset).transfer(to, amount);
    }

    function buyCollateral(address asset, uint256 least, uint256 paid, address to) external {
        IToken(0x2222222222222222222222222222222222222222).transferFrom(msg.sender, address(this), paid);
        IToken(asset).mint(to, least);
    }

    function allow(address manager, bool allowed) external {
        emit Allowed(msg.sender, manager, allowed);
    }
}

/// Its asset is the dollar at its fixed address; a share is one unit of it.
contract Vault {
    IToken constant ASSET = IToken(0x2222222222222222222222222222222222222222);
    mapping(address => uint256) public balanceOf;

    function deposit(uint256 assets, address receiver) external {
        ASSET.transferFrom(msg.sender, address(this), assets);
        balanceOf[receiver] += assets;
    }

    function mint(uint256 shares, address receiver) external {
        ASSET.transferFrom(msg.sender, address(this), shares);
        balanceOf[receiver] += shares;
    }

    function withdraw(uint256 assets, address receiver, address owner) external {
        require(owner == msg.sender, "owner");
        balanceOf[owner] -= assets;
        ASSET.transfer(receiver, assets);
    }

    function redeem(uint256 shares, address receiver, address owner) external {
        require(owner == msg.sender, "owner");
        balanceOf[owner] -= shares;
        ASSET.transfer(receiver, shares);
    }

    function deposit(uint256 assets, address receiver, uint256 least) external {
        require(assets >= least, "least");
        ASSET.transferFrom(msg.sender, address(this), assets);
        balanceOf[receiver] += assets;
    }

    function mint(uint256 shares, address receiver, uint256 most) external {
        require(shares <= most, "most");
        ASSET.transferFrom(msg.sender, address(this), shares);
        balanceOf[receiver] += shares;
    }

    function withdraw(uint256 assets, address receiver, address owner, uint256 most) external {
        require(owner == msg.sender && assets <= most, "owner");
        balanceOf[owner] -= assets;
        ASSET.transfer(receiver, assets);
    }

    function redeem(uint256 shares, address receiver, address owner, uint256 least) external {
        require(owner == msg.sender && shares >= least, "owner");
        balanceOf[owner] -= shares;
        ASSET.transfer(receiver, shares);
    }

    event Requested(address indexed owner, bytes4 what, uint256 amount);

    function requestDeposit(uint256 assets, address, address owner) external {
        require(owner == msg.sender, "owner");
        ASSET.transferFrom(owner, address(this), assets);
        emit Requested(owner, msg.sig, assets);
    }

    function requestRedeem(uint256 shares, address, address owner) external {
        require(owner == msg.sender, "owner");
        balanceOf[owner] -= shares;
        emit Requested(owner, msg.sig, shares);
    }
}

contract Bridge {
    event Crossed(bytes4 how, address token, uint256 amount);

    function pull(address token, uint256 amount) internal {
        IToken(token).transferFrom(msg.sender, address(this), amount);
        emit Crossed(msg.sig, token, amount);
    }

    function ether_() internal {
        require(msg.value > 0, "value");
        emit Crossed(msg.sig, address(0), msg.value);
    }

    function depositForBurnWithCaller(uint256 amount, uint32, bytes32, address token, bytes32) external {
        pull(token, amount);
    }

    function depositForBurn(uint256 amount, uint32, bytes32, address token, bytes32, uint256, uint32) external {
        pull(token, amount);
    }

    function transferTokens(address token, uint256 amount, uint16, bytes32, uint256, uint32) external {
        pull(token, amount);
    }

    function outboundTransfer(address token, address, uint256 amount, uint256, uint256, bytes calldata) external {
        pull(token, amount);
    }

    function outboundTransfer(address token, address, uint256 amount, bytes calldata) external {
        pull(token, amount);
    }

    function depositERC20(address token, address, uint256 amount, uint32, bytes calldata) external {
        pull(token, amount);
    }

    function depositERC20To(address token, address, address, uint256 amount, uint32, bytes calldata) external {
        pull(token, amount);
    }

    function withdraw(address token, uint256 amount, uint32, bytes calldata) external {
        pull(token, amount);
    }

    function withdrawTo(address token, address, uint256 amount, uint32, bytes calldata) external {
        pull(token, amount);
    }

    function depositEth() external payable {
        ether_();
    }

    function depositETH(uint32, bytes calldata) external payable {
        ether_();
    }

    function depositETHTo(address, uint32, bytes calldata) external payable {
        ether_();
    }

    function withdrawEth(address) external payable {
        ether_();
    }

    function depositTransaction(address, uint256, uint64, bool, bytes calldata) external payable {
        ether_();
    }

    function depositForBurn(uint256 amount, uint32, bytes32, address token) external {
        pull(token, amount);
        IToken(token).burn(address(this), amount);
    }

    /// Across' `depositV3`, which has more arguments than Solidity's stack: its third is the token, its fifth the amount.
    fallback() external payable {
        require(msg.sig == 0x7b939232, "function");
        uint256 amount = uint256(bytes32(msg.data[132:164]));
        if (msg.value == 0) return pull(address(uint160(uint256(bytes32(msg.data[68:100])))), amount);
        require(msg.value == amount, "value");
        ether_();
    }

    function bridgeETH(uint32, bytes calldata) external payable {
        ether_();
    }

    function bridgeETHTo(address, uint32, bytes calldata) external payable {
        ether_();
    }

    function bridgeERC20(address token, address, uint256 amount, uint32, bytes calldata) external {
        pull(token, amount);
    }

    function bridgeERC20To(address token, address, address, uint256 amount, uint32, bytes calldata) external {
        pull(token, amount);
    }
}

contract Multicall3 {
    struct Call {
        address target;
        bytes data;
    }

    struct Call3 {
        address target;
        bool allowFailure;
        bytes data;
    }

    struct Call3Value {
        address target;
        bool allowFailure;
        uint256 value;
        bytes data;
    }

    function make(address target, uint256 value, bytes calldata data, bool mayFail) internal {
        (bool done,) = target.call{value: value}(data);
        require(done || mayFail, "inner");
    }

    function aggregate(Call[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) make(calls[i].target, 0, calls[i].data, false);
    }

    function tryAggregate(bool strict, Call[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) make(calls[i].target, 0, calls[i].data, !strict);
    }

    function blockAndAggregate(Call[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) make(calls[i].target, 0, calls[i].data, false);
    }

    function aggregate3(Call3[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) make(calls[i].target, 0, calls[i].data, calls[i].allowFailure);
    }

    function aggregate3Value(Call3Value[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) {
            make(calls[i].target, calls[i].value, calls[i].data, calls[i].allowFailure);
        }
    }
}

contract Account {
    struct Call {
        address target;
        uint256 value;
        bytes data;
    }

    function execute(address target, uint256 value, bytes calldata data) public payable {
        (bool done,) = target.call{value: value}(data);
        require(done, "inner");
    }

    function executeBatch(Call[] calldata calls) public payable {
        for (uint256 i = 0; i < calls.length; i++) execute(calls[i].target, calls[i].value, calls[i].data);
    }

    function executeBatch(address[] calldata targets, bytes[] calldata datas) external payable {
        for (uint256 i = 0; i < targets.length; i++) execute(targets[i], 0, datas[i]);
    }

    function executeBatch(address[] calldata targets, uint256[] calldata values, bytes[] calldata datas)
        external
        payable
    {
        for (uint256 i = 0; i < targets.length; i++) execute(targets[i], values[i], datas[i]);
    }

    function execute(Call calldata call) external payable {
        execute(call.target, call.value, call.data);
    }

    function execute(Call[] calldata calls) external payable {
        executeBatch(calls);
    }

    function execute(address target, uint256 value, bytes calldata data, uint8 operation) external payable {
        require(operation == 0, "operation");
        execute(target, value, data);
    }

    /// ERC-7579: one call, side by side, or a list of calls.
    function execute(bytes32 mode, bytes calldata calls) external payable {
        if (mode == 0) return execute(address(bytes20(calls[:20])), uint256(bytes32(calls[20:52])), calls[52:]);
        require(mode == bytes32(uint256(1)) << 248, "mode");
        Call[] memory list = abi.decode(calls, (Call[]));
        for (uint256 i = 0; i < list.length; i++) {
            (bool done,) = list[i].target.call{value: list[i].value}(list[i].data);
            require(done, "inner");
        }
    }

    receive() external payable {}
}

contract EntryPoint {
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

    mapping(address => uint256) public deposits;

    function handleOps(Operation[] calldata operations, address payable) external {
        for (uint256 i = 0; i < operations.length; i++) {
            (bool done,) = operations[i].sender.call(operations[i].callData);
            require(done, "inner");
        }
    }

    function depositTo(address account) external payable {
        deposits[account] += msg.value;
    }

    event Staked(address indexed account, bytes4 what);

    function withdrawTo(address payable to, uint256 amount) external {
        deposits[msg.sender] -= amount;
        (bool sent,) = to.call{value: amount}("");
        require(sent, "send");
    }

    function addStake(uint32) external payable {
        require(msg.value > 0, "value");
        emit Staked(msg.sender, msg.sig);
    }

    function unlockStake() external {
        emit Staked(msg.sender, msg.sig);
    }

    function incrementNonce(uint192) external {
        emit Staked(msg.sender, msg.sig);
    }
}

contract Shop {
    function buy(address collection, uint256 id) external payable {
        require(msg.value >= 0.01 ether, "price");
        Items721(collection).mint(msg.sender, id);
    }

    function claim(address to, uint256 amount) external {
        IToken(0x2222222222222222222222222222222222222222).mint(to, amount);
    }
}

/// What agents do besides, at a name service, an assembly, a farm and a register of agents: whoever does it is written down.
contract Club {
    event Done(address indexed who, bytes4 what, uint256 value);

    fallback() external payable {
        emit Done(msg.sender, msg.sig, msg.value);
    }
}

/// Items that are many and fungible (ERC-6909).
contract Items6909 {
    mapping(address => mapping(uint256 => uint256)) public balanceOf;
    mapping(address => mapping(address => mapping(uint256 => uint256))) public allowance;
    mapping(address => mapping(address => bool)) public isOperator;

    event Transfer(address by, address indexed from, address indexed to, uint256 indexed id, uint256 amount);
    event OperatorSet(address indexed owner, address indexed spender, bool approved);
    event Approval(address indexed owner, address indexed spender, uint256 indexed id, uint256 amount);

    function mint(address to, uint256 id, uint256 amount) external {
        balanceOf[to][id] += amount;
    }

    function transfer(address to, uint256 id, uint256 amount) external returns (bool) {
        balanceOf[msg.sender][id] -= amount;
        balanceOf[to][id] += amount;
        emit Transfer(msg.sender, msg.sender, to, id, amount);
        return true;
    }

    function approve(address spender, uint256 id, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender][id] = amount;
        emit Approval(msg.sender, spender, id, amount);
        return true;
    }

    function setOperator(address spender, bool approved) external returns (bool) {
        isOperator[msg.sender][spender] = approved;
        emit OperatorSet(msg.sender, spender, approved);
        return true;
    }
}

/// The factory at which anybody deploys to an address known before: a salt, then the code.
contract Create2 {
    fallback(bytes calldata input) external payable returns (bytes memory) {
        bytes32 salt = bytes32(input[:32]);
        bytes memory code = input[32:];
        address made;
        assembly {
            made := create2(callvalue(), add(code, 32), mload(code), salt)
        }
        require(made != address(0), "create2");
        return abi.encodePacked(made);
    }
}

/// What an agent deploys.
contract Counter {
    uint256 public count;

    constructor(uint256 start) payable {
        count = start;
    }
}
