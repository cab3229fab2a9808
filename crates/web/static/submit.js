// Sends the answer on to the application; whoever runs no scripts has the button.
document.getElementById('submit').submit();
